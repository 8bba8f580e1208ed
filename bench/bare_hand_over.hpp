// The least that a call can do which has a sleeping thread do something with copies of our standard
// descriptors: it copies them, as close-on-exec, and wakes the thread.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "quiet_thread.hpp"

namespace bench {

class bare_hand_over {
 public:
  ~bare_hand_over() {
    {
      std::lock_guard held(lock_);
      is_over_ = true;
    }
    is_asked_.notify_one();
  }

  void hand_over() {
    std::array<int, 3> copies{};
    for (int standard = 0; standard < 3; ++standard) {
      (void)::fcntl(standard, F_GETFD);
      copies[static_cast<std::size_t>(standard)] = ::fcntl(standard, F_DUPFD_CLOEXEC, 3);
    }
    {
      std::lock_guard held(lock_);
      copies_ = copies;
      is_due_ = true;
    }
    is_asked_.notify_one();
  }

 private:
  void run() {
    constexpr sched_param none{};
    (void)::sched_setscheduler(0, SCHED_BATCH, &none);  // as the library's thread sleeps
    std::unique_lock held(lock_);
    for (;;) {
      is_asked_.wait(held, [this] { return is_due_ || is_over_; });
      if (!is_due_) return;
      is_due_ = false;
      for (int copy : copies_) ::close(copy);
    }
  }

  std::mutex lock_;
  std::condition_variable is_asked_;
  std::array<int, 3> copies_{};
  bool is_due_ = false;
  bool is_over_ = false;
  std::jthread thread_ = quiet_thread([this] { run(); });
};

}  // namespace bench
