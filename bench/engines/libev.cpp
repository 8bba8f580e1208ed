// libev's ev_child: SIGCHLD, then wait4(-1) until nothing is left.
#include <ev.h>

#include <deque>
#include <list>

#include "../engine.hpp"

namespace bench {
namespace {

class libev_engine : public engine {
 public:
  using engine::engine;

  std::string start() override {
    loop_ = ev_default_loop(0);  // the only loop that may watch children
    return loop_ != nullptr ? "" : "ev_default_loop failed";
  }

  void watch(pid_t pid, int slot) override {
    auto& made = children_.emplace_back();
    made.owner = this;
    made.slot = slot;
    auto ended = [](struct ev_loop* loop, ev_child* watcher, int) {
      auto* one = static_cast<child*>(watcher->data);
      ev_child_stop(loop, watcher);
      one->owner->told(one->slot);
    };
    ev_child_init(&made.watcher, ended, pid, 0);
    made.watcher.data = &made;
    ev_child_start(loop_, &made.watcher);
  }

  void turn(bool may_sleep) override { ev_run(loop_, may_sleep ? EVRUN_ONCE : EVRUN_NOWAIT); }

  bool every_millisecond(const std::function<void()>& callback) override {
    auto& kept = callbacks_.emplace_back(callback);
    auto fire = [](struct ev_loop*, ev_timer* fired, int) {
      (*static_cast<std::function<void()>*>(fired->data))();
    };
    ev_timer_init(&timer_, fire, 0.001, 0.001);
    timer_.data = &kept;
    ev_timer_start(loop_, &timer_);
    return true;
  }

  bool on_readable(int descriptor, const std::function<void()>& callback) override {
    auto& kept = callbacks_.emplace_back(callback);
    auto fire = [](struct ev_loop*, ev_io* fired, int) {
      (*static_cast<std::function<void()>*>(fired->data))();
    };
    ev_io_init(&io_, fire, descriptor, EV_READ);
    io_.data = &kept;
    ev_io_start(loop_, &io_);
    return true;
  }

 private:
  struct child {
    ev_child watcher{};
    libev_engine* owner = nullptr;
    int slot = 0;
  };
  struct ev_loop* loop_ = nullptr;
  std::deque<child> children_;
  std::list<std::function<void()>> callbacks_;
  ev_timer timer_{};
  ev_io io_{};
};

}  // namespace

std::vector<engine_entry> libev_entries() {
  return {
      {.name = "libev",
       .version = "libev " + std::to_string(ev_version_major()) + "." + std::to_string(ev_version_minor()),
       .make = maker<libev_engine>(),
       .takes_any_child = true}};
}

}  // namespace bench
