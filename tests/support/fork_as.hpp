// A child with a number of our choice: how a test makes a younger process with an older one's pid.
#pragma once

#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace test {

// fork(2) with that very number, which has to be free (EEXIST); -1 where choosing is not allowed
// (CAP_CHECKPOINT_RESTORE, Linux 5.5).
inline pid_t fork_as(pid_t number) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<std::uintptr_t>(&number);
  arguments.set_tid_size = 1;
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

}  // namespace test
