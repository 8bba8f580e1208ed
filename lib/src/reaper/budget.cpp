#include "reaper/budget.hpp"

#include <algorithm>

#include "os/syscalls.hpp"

namespace uvreap {
namespace {

constexpr int looks_apart = 8;
constexpr std::uint64_t slow_step_ns = 50'000;
constexpr std::chrono::hours long_enough{24};  // and more than that does not fit into nanoseconds, at the end

}  // namespace

budget::budget(int units, std::chrono::microseconds time) noexcept
    : is_spent(units <= 0),
      units_(units),
      is_timed_(time != std::chrono::microseconds::max()),
      time_ns_(static_cast<std::uint64_t>(
          std::chrono::nanoseconds(std::min<std::chrono::microseconds>(time, long_enough)).count())),
      until_look_(looks_apart) {
  if (!is_timed_) return;
  cpu_start_ns_ = sys::thread_cpu_ns();
  start_ns_ = sys::monotonic_ns();
  last_step_ns_ = start_ns_;
}

void budget::spend(int units) noexcept {
  units_ -= units;
  if (units_ <= 0) is_spent = true;
  if (!is_timed_) return;
  until_look_ -= units;
  std::uint64_t now = sys::monotonic_ns();
  bool was_slow = now - last_step_ns_ >= slow_step_ns;
  last_step_ns_ = now;
  if (until_look_ > 0 && !was_slow) return;
  until_look_ = looks_apart;
  if (sys::thread_cpu_ns() - cpu_start_ns_ >= time_ns_) is_spent = true;
}

std::chrono::nanoseconds budget::longer_than(std::chrono::nanoseconds longest) const noexcept {
  if (std::chrono::nanoseconds(last_step_ns_ - start_ns_) <= longest) return longest;
  return std::max(longest, std::chrono::nanoseconds(sys::thread_cpu_ns() - cpu_start_ns_));
}

}  // namespace uvreap
