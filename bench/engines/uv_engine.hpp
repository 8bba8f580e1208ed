// What the engines on a libuv loop have in common: the loop.
#pragma once

#include <uv.h>

#include <functional>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>

#include "../engine.hpp"

namespace bench {

inline void must(int error, const char* what) {
  if (error != 0) throw std::runtime_error(std::string(what) + ": " + uv_strerror(error));
}

inline std::string uv_version() { return std::string("libuv ") + uv_version_string(); }

class uv_engine : public engine {
 public:
  explicit uv_engine(engine_setting setting) : engine(std::move(setting)) {
    must(uv_loop_init(&loop_), "uv_loop_init");
  }
  // The process of a cell ends after it: handles and loop go with it.

  void turn(bool may_sleep) override { uv_run(&loop_, may_sleep ? UV_RUN_ONCE : UV_RUN_NOWAIT); }

  bool every_millisecond(const std::function<void()>& callback) override {
    auto& handle = timers_.emplace_back();
    handle.callback = callback;
    handle.timer.data = &handle;
    must(uv_timer_init(&loop_, &handle.timer), "uv_timer_init");
    auto fire = [](uv_timer_t* fired) { static_cast<timer*>(fired->data)->callback(); };
    must(uv_timer_start(&handle.timer, fire, 1, 1), "uv_timer_start");
    return true;
  }

  bool on_readable(int descriptor, const std::function<void()>& callback) override {
    auto& handle = polls_.emplace_back();
    handle.callback = callback;
    handle.poll.data = &handle;
    must(uv_poll_init(&loop_, &handle.poll, descriptor), "uv_poll_init");
    auto fire = [](uv_poll_t* fired, int, int) { static_cast<poll*>(fired->data)->callback(); };
    must(uv_poll_start(&handle.poll, UV_READABLE, fire), "uv_poll_start");
    return true;
  }

 protected:
  uv_loop_t loop_{};

 private:
  struct timer {
    uv_timer_t timer{};
    std::function<void()> callback;
  };
  struct poll {
    uv_poll_t poll{};
    std::function<void()> callback;
  };
  std::list<timer> timers_;
  std::list<poll> polls_;
};

}  // namespace bench
