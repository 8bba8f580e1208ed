// The fallback: while something is watched, a timer says at the latest after poll_every that it is time to
// look. It finds what SIGCHLD did not say: the signal was blocked or ignored, its handler replaced, or
// libuv's signal pipe full (a full one drops the message, by libuv's own comment), and exits whose status
// somebody else took.
//
// It ticks at its rest whatever else was heard: a stream of signals must not put off what only the poller
// finds. A find halves the rest, down to a sixteenth of poll_every and not below 10 ms; an empty look doubles
// it again.
//
// Its timer is the one handle of a reaper that may hold the loop.
#pragma once

#include <chrono>
#include <memory>

#include "os/uv_handle.hpp"

namespace uvreap {

class idle_poller {
 public:
  explicit idle_poller(std::chrono::milliseconds longest_rest) noexcept;  // 0: it never ticks

  [[nodiscard]] int open(uv_loop_t&, void* data, uv_timer_cb tick, std::shared_ptr<void> farewell) noexcept;
  void close() noexcept { timer_.close(); }
  void leave_to_the_loop() noexcept { timer_.leave_to_the_loop(); }

  void stand_by(bool something_to_do, bool hold_the_loop) noexcept;  // again is nothing
  void ticked() noexcept;                                            // rests again
  void looked(bool found) noexcept;  // the look after a tick is done, or goes on

 private:
  void rest() noexcept;

  uv_handle<uv_timer_t> timer_;
  uv_timer_cb tick_ = nullptr;
  std::chrono::milliseconds longest_;
  std::chrono::milliseconds shortest_;
  std::chrono::milliseconds rest_;
  bool found_since_tick_ = false;
};

}  // namespace uvreap
