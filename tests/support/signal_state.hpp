// What a test does to SIGCHLD is undone when it is over: the next test starts from the mask and the action it
// found.
#pragma once

#include <signal.h>

#include <chrono>

#include "stage.hpp"

namespace test {

// The rung that hears of exits by SIGCHLD and the poller alone; a higher one needs neither.
inline uvreap::options heard_by_signal(std::chrono::milliseconds poll_every,
                                       uvreap::sigchld_use use = uvreap::sigchld_use::always) {
  auto options = options_of_this_run();
  options.backend = uvreap::backend_kind::peek;
  options.sigchld = use;
  options.poll_every = poll_every;
  return options;
}

// Blocked in this thread. Threads and children that it makes meanwhile inherit that.
class sigchld_blocked {
 public:
  sigchld_blocked() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  ~sigchld_blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  sigchld_blocked(const sigchld_blocked&) = delete;
  sigchld_blocked& operator=(const sigchld_blocked&) = delete;

 private:
  sigset_t before_{};
};

class sigchld_action {
 public:
  explicit sigchld_action(void (*handler)(int), int flags = 0) {
    struct ::sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    ::sigaction(SIGCHLD, &action, &before_);
  }
  ~sigchld_action() { ::sigaction(SIGCHLD, &before_, nullptr); }
  sigchld_action(const sigchld_action&) = delete;
  sigchld_action& operator=(const sigchld_action&) = delete;

  [[nodiscard]] static bool is(void (*handler)(int)) {
    struct ::sigaction action {};
    ::sigaction(SIGCHLD, nullptr, &action);
    return action.sa_handler == handler;
  }

 private:
  struct ::sigaction before_ {};
};

}  // namespace test
