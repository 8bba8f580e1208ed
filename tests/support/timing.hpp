// How long something took, for tests that hold a time limit on a machine that may be busy with something
// else.
#pragma once

#include <uv.h>

#include <chrono>
#include <functional>

namespace test {

class stopwatch {
 public:
  [[nodiscard]] std::chrono::nanoseconds elapsed() const {
    return std::chrono::nanoseconds(uv_hrtime() - start_);
  }

 private:
  std::uint64_t start_ = uv_hrtime();
};

// The machine may be put off the CPU during one measurement, but not during all of them: one has to hold.
inline bool one_of_three(const std::function<bool()>& measure) {
  for (int tries = 0; tries < 3; ++tries) {
    if (measure()) return true;
  }
  return false;
}

inline void busy_wait(std::chrono::microseconds time) {
  stopwatch spent;
  while (spent.elapsed() < time) {
  }
}

}  // namespace test
