// A timer for one moment of the monotonic clock.
//
// Two things of libuv's timers are kept away from: a timer of 0 runs again in the same phase before
// libuv 1.48, and since 1.48 a due timer is inactive until its callback, so a look at uv_is_active() would
// put it off for ever. So what is set is remembered here, and what is due already is the caller's to do.
#pragma once

#include <uv.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "os/uv_handle.hpp"

namespace uvreap {

class alarm {
 public:
  static constexpr std::uint64_t never = ~std::uint64_t{0};

  [[nodiscard]] static std::uint64_t now_ms() noexcept { return uv_hrtime() / 1'000'000; }
  // One more, for whole milliseconds are rounded down: without it the moment would come up to one early.
  [[nodiscard]] static std::uint64_t in(std::uint64_t ms) noexcept {
    return ms == 0 ? now_ms() : now_ms() + ms + 1;
  }

  [[nodiscard]] int open(uv_loop_t& loop, std::function<void()> ring,
                         const std::shared_ptr<close_barrier>& barrier) noexcept {
    ring_ = std::move(ring);
    at_ms = never;
    return timer_.open([&](uv_timer_t* handle) { return uv_timer_init(&loop, handle); }, this, barrier);
  }

  std::uint64_t at_ms = never;  // what it is set for

  void set(std::uint64_t moment_ms) noexcept {
    uv_timer_t* timer = timer_.get_open();
    if (timer == nullptr) return;
    at_ms = moment_ms;
    if (at_ms == never) {
      uv_timer_stop(timer);
      return;
    }
    // From the loop's own idea of now, which may be as old as its last poll.
    std::uint64_t now = uv_now(timer->loop);
    uv_timer_start(timer, call_owner<&alarm::on_timer, uv_timer_t>, at_ms > now ? at_ms - now : 1, 0);
  }

  // By the loop's clock: at the latest then, where in() is at the earliest.
  void set_within(std::uint64_t ms) noexcept {
    if (uv_timer_t* timer = timer_.get_open()) set(uv_now(timer->loop) + ms);
  }

  void hold_the_loop(bool hold) noexcept {
    auto* handle = reinterpret_cast<uv_handle_t*>(timer_.get_open());
    if (handle == nullptr) return;
    hold ? uv_ref(handle) : uv_unref(handle);
  }

  void close() noexcept { timer_.close(); }

 private:
  void on_timer() noexcept {
    at_ms = never;
    ring_();
  }

  uv_handle<uv_timer_t> timer_;
  std::function<void()> ring_;
};

}  // namespace uvreap
