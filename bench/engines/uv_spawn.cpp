// libuv's own children: uv_spawn and its exit callback. It watches no child that it did not make.
#include <deque>

#include "uv_engine.hpp"

namespace bench {
namespace {

class uv_spawn_engine : public uv_engine {
 public:
  using uv_engine::uv_engine;
  std::string start() override { return {}; }
  void watch(pid_t, int) override { throw std::logic_error("uv_spawn watches only what it made"); }
  bool makes_its_own() const override { return true; }

  void make(int slot) override {
    auto words = setting_.children.command(slot);
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    char* environment[] = {nullptr};
    uv_process_options_t options{};
    options.file = arguments[0];
    options.args = arguments.data();
    options.env = environment;
    options.exit_cb = [](uv_process_t* process, std::int64_t, int) {
      auto* ended = static_cast<child*>(process->data);
      ended->owner->told(ended->slot);
      uv_close(reinterpret_cast<uv_handle_t*>(process), nullptr);
    };
    auto& made = children_.emplace_back();
    made.owner = this;
    made.slot = slot;
    made.process.data = &made;
    must(uv_spawn(&loop_, &made.process, &options), "uv_spawn");
  }

 private:
  struct child {
    uv_process_t process{};
    uv_spawn_engine* owner = nullptr;
    int slot = 0;
  };
  std::deque<child> children_;
};

}  // namespace

std::vector<engine_entry> uv_spawn_entries() {
  return {{.name = "uv_spawn", .version = uv_version(), .make = maker<uv_spawn_engine>()}};
}

}  // namespace bench
