// Counts the system calls of the thread that made it, by tracing it from a process of its own.
//
//     syscall_counter counter;
//     if (!counter.counts()) return;            // ptrace is refused here
//     auto before = counter.count();
//
// Reading the count makes no system call. The traced thread is stopped at each call: time nothing meanwhile.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>

namespace bench {

class syscall_counter {
 public:
  syscall_counter();
  ~syscall_counter();
  syscall_counter(const syscall_counter&) = delete;
  syscall_counter& operator=(const syscall_counter&) = delete;

  [[nodiscard]] bool counts() const { return state_->attached == 1; }
  [[nodiscard]] std::uint64_t count() const { return state_->calls; }

 private:
  struct state {
    std::atomic<int> attached;  // 0 not yet, 1 yes, -1 refused
    std::atomic<int> done;
    std::atomic<std::uint64_t> calls;
  };
  [[noreturn]] static void trace(pid_t who, state&);

  state* state_;
};

}  // namespace bench
