// The clocks of the bench, all in nanoseconds.
#pragma once

#include <time.h>

#include <cstdint>

namespace bench {

inline std::int64_t read_clock(clockid_t which) noexcept {
  timespec now{};
  ::clock_gettime(which, &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

inline std::int64_t now() noexcept { return read_clock(CLOCK_MONOTONIC); }

// Of the whole process, since some engines have a thread of their own that hears.
inline std::int64_t cpu_time() noexcept { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

inline std::int64_t thread_cpu_time() noexcept { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

inline void sleep_for(std::int64_t ns) noexcept {
  timespec left{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  while (::nanosleep(&left, &left) != 0) {
  }
}

}  // namespace bench
