// GLib's child watch source, on the default main context.
#include <glib-unix.h>
#include <glib.h>

#include <deque>
#include <list>

#include "../engine.hpp"

namespace bench {
namespace {

class glib_engine : public engine {
 public:
  using engine::engine;
  std::string start() override { return {}; }

  void watch(pid_t pid, int slot) override {
    auto& made = children_.emplace_back(child{this, slot});
    g_child_watch_add(
        pid,
        [](GPid, gint, gpointer data) {
          auto* ended = static_cast<child*>(data);
          ended->owner->told(ended->slot);
        },
        &made);
  }

  void turn(bool may_sleep) override { g_main_context_iteration(nullptr, may_sleep); }

  bool every_millisecond(const std::function<void()>& callback) override {
    g_timeout_add(1, call, &callbacks_.emplace_back(callback));
    return true;
  }

  bool on_readable(int descriptor, const std::function<void()>& callback) override {
    auto readable = [](gint, GIOCondition, gpointer data) -> gboolean { return call(data); };
    g_unix_fd_add(descriptor, G_IO_IN, readable, &callbacks_.emplace_back(callback));
    return true;
  }

 private:
  struct child {
    glib_engine* owner;
    int slot;
  };

  static gboolean call(gpointer data) {
    (*static_cast<std::function<void()>*>(data))();
    return G_SOURCE_CONTINUE;
  }

  std::deque<child> children_;
  std::list<std::function<void()>> callbacks_;
};

}  // namespace

std::vector<engine_entry> glib_entries() {
  return {{.name = "glib",
           .version = "GLib " + std::to_string(glib_major_version) + "." +
                      std::to_string(glib_minor_version) + "." + std::to_string(glib_micro_version),
           .make = maker<glib_engine>(),
           .descriptors_per_child = 1}};
}

}  // namespace bench
