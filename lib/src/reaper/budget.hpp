// What one sweep may spend: units (a look, a delivery, a signal), and CPU time of the thread.
//
// CPU time, for a sweep that was put off the CPU has not held the loop up by its own work; and time beside
// the count, for in a storm of exits 64 wait4 calls took up to 6 ms, spinning on the kernel's task list lock.
// Reading that clock costs 0.5 us and more, and CPU time cannot be over before it is over by the monotonic
// clock (20 ns). So it is read when a quarter is over by that one, which most sweeps never reach, and then
// when the rest may be over. What came before the first reading counts as CPU time, but as no more than that
// quarter: the thread may have been off the CPU. After a sweep of many steps, as in a burst, the next one is
// measured from its begin. Without a limit of time (microseconds::max()) no clock is read.
#pragma once

#include <chrono>
#include <cstdint>

namespace uvreap {

class budget {
 public:
  // Begins now. With is_busy the CPU clock is read from its begin on.
  budget(int units, std::chrono::microseconds time, bool is_busy) noexcept;

  bool is_spent;
  void spend(int units) noexcept;
  [[nodiscard]] bool is_of_many_steps() const noexcept { return steps_ > few_steps; }

  // The longer of this sweep and the longest so far, if it has a limit of time. It reads the CPU clock only
  // if that was read before, and if the wall clock, which CPU time cannot exceed, leaves the question open.
  [[nodiscard]] std::chrono::nanoseconds longer_than(std::chrono::nanoseconds longest) const noexcept;

 private:
  static constexpr int few_steps = 4;

  int units_;
  int steps_ = 0;
  bool is_timed_;
  std::uint64_t time_ns_;
  bool has_looked_ = false;
  std::uint64_t cpu_start_ns_ = 0;
  std::uint64_t start_ns_ = 0;
  std::uint64_t now_ns_ = 0;      // after the last step
  std::uint64_t look_at_ns_ = 0;  // before that it cannot be over
};

}  // namespace uvreap
