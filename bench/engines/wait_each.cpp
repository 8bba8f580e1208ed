// What one writes by hand on libuv: with each SIGCHLD, one wait4 for every child that lives.
#include <signal.h>
#include <sys/wait.h>

#include <vector>

#include "uv_engine.hpp"

namespace bench {
namespace {

class wait_each : public uv_engine {
 public:
  using uv_engine::uv_engine;

  std::string start() override {
    must(uv_signal_init(&loop_, &signal_), "uv_signal_init");
    signal_.data = this;
    auto heard = [](uv_signal_t* handle, int) { static_cast<wait_each*>(handle->data)->look(); };
    must(uv_signal_start(&signal_, heard, SIGCHLD), "uv_signal_start");
    return {};
  }

  void watch(pid_t pid, int slot) override { living_.push_back({pid, slot}); }

 private:
  struct child {
    pid_t pid;
    int slot;
  };

  void look() {
    for (std::size_t place = 0; place < living_.size();) {
      child one = living_[place];
      if (::wait4(one.pid, nullptr, WNOHANG, nullptr) != one.pid) {
        ++place;
        continue;
      }
      living_[place] = living_.back();
      living_.pop_back();
      told(one.slot);
    }
  }

  uv_signal_t signal_{};
  std::vector<child> living_;
};

}  // namespace

std::vector<engine_entry> wait_each_entries() {
  return {{.name = "wait_each", .version = uv_version(), .make = maker<wait_each>()}};
}

}  // namespace bench
