// What uvreap asks before each wait4: has the child that this pidfd names ended? It takes nothing.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>

namespace bench {

inline bool has_ended(int pidfd) {
  siginfo_t about{};
  int options = WEXITED | WNOHANG | WNOWAIT | __WALL;
  return ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &about, options) == 0 && about.si_pid != 0;
}

inline bool reap(pid_t pid) {
  int status = 0;
  struct rusage usage {};
  return ::wait4(pid, &status, WNOHANG | __WALL, &usage) == pid;
}

}  // namespace bench
