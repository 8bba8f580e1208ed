#include "reaper/budget.hpp"

#include <algorithm>

#include "os/syscalls.hpp"

namespace uvreap {
namespace {

constexpr std::chrono::hours long_enough{24};  // and more than that does not fit into nanoseconds, at the end

}  // namespace

budget::budget(int units, std::chrono::microseconds time, bool is_busy) noexcept
    : is_spent(units <= 0),
      units_(units),
      is_timed_(time != std::chrono::microseconds::max()),
      time_ns_(static_cast<std::uint64_t>(
          std::chrono::nanoseconds(std::min<std::chrono::microseconds>(time, long_enough)).count())) {
  if (!is_timed_) return;
  start_ns_ = now_ns_ = sys::monotonic_ns();
  look_at_ns_ = start_ns_ + time_ns_ / 4;
  if (!is_busy) return;
  has_looked_ = true;
  cpu_start_ns_ = sys::thread_cpu_ns();
  look_at_ns_ = start_ns_ + time_ns_;
}

void budget::spend(int units) noexcept {
  units_ -= units;
  ++steps_;
  if (units_ <= 0) is_spent = true;
  if (!is_timed_) return;
  now_ns_ = sys::monotonic_ns();
  if (now_ns_ < look_at_ns_) return;
  std::uint64_t cpu = sys::thread_cpu_ns();
  if (!has_looked_) cpu_start_ns_ = cpu - std::min(now_ns_ - start_ns_, time_ns_ / 4);
  has_looked_ = true;
  std::uint64_t used = cpu - cpu_start_ns_;
  if (used >= time_ns_) is_spent = true;
  look_at_ns_ = now_ns_ + time_ns_ - std::min(used, time_ns_);
}

std::chrono::nanoseconds budget::longer_than(std::chrono::nanoseconds longest) const noexcept {
  std::chrono::nanoseconds all(now_ns_ - start_ns_);
  if (all <= longest) return longest;
  return has_looked_ ? std::max(longest, std::chrono::nanoseconds(sys::thread_cpu_ns() - cpu_start_ns_))
                     : all;
}

}  // namespace uvreap
