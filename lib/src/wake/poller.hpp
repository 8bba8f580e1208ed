// The fallback of all notices: while something is watched, a timer says at the latest after poll_every that
// it is time to look. It finds what SIGCHLD did not say: the signal was blocked or ignored, its handler
// replaced, or libuv's signal pipe full (a full one drops the message, by libuv's own comment), and exits
// whose status other code took.
//
// It ticks at its rest whatever else was noticed: a stream of signals must not put off what only the poller
// finds. A find halves the rest, down to a sixteenth of poll_every and not below 10 ms; an empty look doubles
// it again. Beyond poll_every it doubles, up to 64 times that, only while the others notice all that there is
// and nothing stirs: no child is watched or collected. What stirs ends that at once.
//
// Its timer is the one handle of a reaper that holds the loop: while a watch with ref is undelivered, or a
// termination is under way.
#pragma once

#include <chrono>
#include <memory>

#include "os/alarm.hpp"

namespace uvreap {

class poller {
 public:
  explicit poller(std::chrono::milliseconds longest_rest) noexcept;  // 0: it never ticks

  [[nodiscard]] int open(uv_loop_t&, std::function<void()> tick,
                         const std::shared_ptr<close_barrier>&) noexcept;
  void close() noexcept { alarm_.close(); }

  void stand_by(bool something_to_do, bool hold_the_loop) noexcept;  // again is nothing
  // Rests again. Does every exit that it could find have another notice, too?
  void ticked(bool others_notice_all) noexcept;
  void looked(bool found) noexcept;  // the look after a tick is done, or goes on
  bool is_stirred = false;           // since the last tick: again is nothing
  void stir() noexcept;              // poll_every holds again

 private:
  void rest() noexcept;

  alarm alarm_;
  std::chrono::milliseconds longest_;
  std::chrono::milliseconds longest_at_rest_;
  std::chrono::milliseconds shortest_;
  std::chrono::milliseconds rest_;
  bool stands_by_ = false;
  bool found_since_tick_ = false;
};

}  // namespace uvreap
