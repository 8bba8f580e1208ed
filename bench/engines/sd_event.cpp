// systemd's event loop: sd_event_add_child, which holds a pidfd and calls back before it reaps.
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include <cstring>
#include <deque>
#include <list>
#include <stdexcept>

#include "../engine.hpp"
#include "build_facts.hpp"

namespace bench {
namespace {

void check(int result, const char* what) {
  if (result < 0) throw std::runtime_error(std::string(what) + ": " + std::strerror(-result));
}

class sd_event_engine : public engine {
 public:
  using engine::engine;

  std::string start() override {
    // It asks for that, though it uses pidfds.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    check(sd_event_new(&loop_), "sd_event_new");
    return {};
  }

  void watch(pid_t pid, int slot) override {
    auto& made = children_.emplace_back(child{this, slot});
    auto ended = [](sd_event_source* source, const siginfo_t*, void* data) {
      auto* one = static_cast<child*>(data);
      one->owner->told(one->slot);
      sd_event_source_unref(source);
      return 0;
    };
    sd_event_source* source = nullptr;
    check(sd_event_add_child(loop_, &source, pid, WEXITED, ended, &made), "sd_event_add_child");
  }

  // One event a turn: what comes after a callback in a turn is the reaping of that child.
  void turn(bool may_sleep) override {
    check(sd_event_run(loop_, may_sleep ? UINT64_MAX : 0), "sd_event_run");
  }

  bool every_millisecond(const std::function<void()>& callback) override {
    auto fire = [](sd_event_source* source, std::uint64_t due, void* data) {
      sd_event_source_set_time(source, due + 1000);
      return call(data);
    };
    std::uint64_t now_us = 0;
    check(sd_event_now(loop_, CLOCK_MONOTONIC, &now_us), "sd_event_now");
    sd_event_source* source = nullptr;
    check(sd_event_add_time(loop_, &source, CLOCK_MONOTONIC, now_us + 1000, 1, fire,
                            &callbacks_.emplace_back(callback)),
          "sd_event_add_time");
    check(sd_event_source_set_enabled(source, SD_EVENT_ON), "sd_event_source_set_enabled");
    return true;
  }

  bool on_readable(int descriptor, const std::function<void()>& callback) override {
    auto fire = [](sd_event_source*, int, std::uint32_t, void* data) { return call(data); };
    check(sd_event_add_io(loop_, nullptr, descriptor, EPOLLIN, fire, &callbacks_.emplace_back(callback)),
          "sd_event_add_io");
    return true;
  }

 private:
  struct child {
    sd_event_engine* owner;
    int slot;
  };

  static int call(void* data) {
    (*static_cast<std::function<void()>*>(data))();
    return 0;
  }

  sd_event* loop_ = nullptr;
  std::deque<child> children_;
  std::list<std::function<void()>> callbacks_;
};

}  // namespace

std::vector<engine_entry> sd_event_entries() {
  return {{.name = "sd_event",
           .version = std::string("libsystemd ") + LIBSYSTEMD_VERSION,
           .make = maker<sd_event_engine>(),
           .descriptors_per_child = 1,
           .tells_before_it_reaps = true}};
}

}  // namespace bench
