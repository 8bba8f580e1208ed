// uvreap itself: each kind of backend, with SIGCHLD always and when needed. uvreap-automatic is what a
// program gets that asks for nothing.
#include <uvreap/reaper.hpp>

#include "build_facts.hpp"
#include "uv_engine.hpp"

namespace bench {
namespace {

class uvreap_engine : public uv_engine {
 public:
  uvreap_engine(engine_setting setting, uvreap::backend_kind backend, uvreap::sigchld_use sigchld)
      : uv_engine(std::move(setting)), reaper_(loop_, {.backend = backend, .sigchld = sigchld}) {}

  std::string start() override {
    int error = reaper_.start();
    if (error == 0) return {};
    return std::string("this backend is not available here: ") + uv_err_name(error);
  }

  void watch(pid_t pid, int slot) override {
    must(reaper_.watch(pid, [this, slot](const uvreap::child_exit&) { told(slot); }), "reaper.watch");
  }

  std::vector<own_figure> own_figures() const override {
    auto stats = reaper_.stats();
    return {
        {"longest_sweep", "us", static_cast<double>(stats.longest_sweep.count()) / 1000},
        {"on_backend", "children", static_cast<double>(stats.on_backend)},
        {"lost", "children", static_cast<double>(stats.lost)},
        {"missed", "children", static_cast<double>(stats.missed)},
    };
  }

 protected:
  uvreap::reaper reaper_;
};

// The same with children that it makes itself: against the others, what reaper.spawn adds to posix_spawn.
class uvreap_spawn : public uvreap_engine {
 public:
  explicit uvreap_spawn(engine_setting setting)
      : uvreap_engine(std::move(setting), uvreap::backend_kind::automatic, uvreap::sigchld_use::always) {}

  void make(int slot) override {
    pid_t pid = 0;
    uvreap::command command{.argv = setting_.children.command(slot), .keep_descriptors = true};
    must(reaper_.spawn(&pid, command, [this, slot](const uvreap::child_exit&) { told(slot); }),
         "reaper.spawn");
  }
  [[nodiscard]] bool makes_its_own() const override { return true; }

  bool run_program(const std::string& path, const std::function<void()>& ended) override {
    pid_t pid = 0;
    must(reaper_.spawn(&pid, {.argv = {path}}, [ended](const uvreap::child_exit&) { ended(); }),
         "reaper.spawn");
    return true;
  }
};

// The same off the loop.
class uvreap_spawn_async : public uvreap_spawn {
 public:
  using uvreap_spawn::uvreap_spawn;

  void make(int slot) override {
    uvreap::command command{.argv = setting_.children.command(slot), .keep_descriptors = true};
    auto end = [this, slot](const uvreap::child_exit&) { told(slot); };
    must(reaper_.spawn_async(command, on_start, end), "reaper.spawn_async");
  }

  bool run_program(const std::string& path, const std::function<void()>& ended) override {
    auto end = [ended](const uvreap::child_exit&) { ended(); };
    must(reaper_.spawn_async({.argv = {path}}, on_start, end), "reaper.spawn_async");
    return true;
  }

 private:
  static void on_start(int error, pid_t) { must(error, "a child could not be made"); }
};

engine_entry entry(const char* name, uvreap::backend_kind backend, uvreap::sigchld_use sigchld) {
  bool when_needed = sigchld == uvreap::sigchld_use::when_needed;
  return {.name = std::string(name) + (when_needed ? "-when-needed" : ""),
          .version = std::string("uvreap ") + UVREAP_VERSION + ", " + uv_version(),
          .make = maker<uvreap_engine>(backend, sigchld)};
}

}  // namespace

std::vector<engine_entry> uvreap_entries() {
  std::vector<engine_entry> all;
  for (auto sigchld : {uvreap::sigchld_use::always, uvreap::sigchld_use::when_needed}) {
    all.push_back(entry("uvreap-automatic", uvreap::backend_kind::automatic, sigchld));
    all.push_back(entry("uvreap-ring", uvreap::backend_kind::ring, sigchld));
    all.push_back(entry("uvreap-pidfd", uvreap::backend_kind::pidfd, sigchld));
    all.push_back(entry("uvreap-peek", uvreap::backend_kind::peek, sigchld));
  }
  all.push_back({.name = "uvreap-spawn",
                 .version = std::string("uvreap ") + UVREAP_VERSION + ", " + uv_version(),
                 .make = maker<uvreap_spawn>()});
  all.push_back({.name = "uvreap-spawn-async",
                 .version = std::string("uvreap ") + UVREAP_VERSION + ", " + uv_version(),
                 .make = maker<uvreap_spawn_async>()});
  return all;
}

}  // namespace bench
