// Blocks every signal of this thread, and gives it its mask back however the scope is left, on both sides of
// a fork.
#pragma once

#include <signal.h>

#include "os/syscalls.hpp"

namespace uvreap {

class signals_blocked {
 public:
  signals_blocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    sys::thread_mask(SIG_SETMASK, &all, &callers_);
  }
  ~signals_blocked() { sys::thread_mask(SIG_SETMASK, &callers_, nullptr); }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;

 private:
  sigset_t callers_{};
};

}  // namespace uvreap
