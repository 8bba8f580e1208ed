// A process that is about to run out of descriptors.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>

namespace test {

// Just so many descriptors can be opened meanwhile.
class descriptors_left {
 public:
  explicit descriptors_left(int left) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    int lowest_refused = 0;
    for (int free = 0;; ++lowest_refused) {
      if (::fcntl(lowest_refused, F_GETFD) < 0 && free++ == left) break;
    }
    rlimit now{static_cast<rlim_t>(lowest_refused), before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
  }
  ~descriptors_left() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  descriptors_left(const descriptors_left&) = delete;
  descriptors_left& operator=(const descriptors_left&) = delete;

 private:
  rlimit before_{};
};

}  // namespace test
