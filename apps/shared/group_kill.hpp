// A signal, SIGKILL mostly, to a whole process group, and to no other process.
#pragma once

#include <signal.h>

#include <uvreap/reaper.hpp>

// The leader is asked for first, on the one thread that reaps: while it is not collected, be it as a zombie,
// its number cannot be another group's. UV_ESRCH: it is.
inline int kill_group(uvreap::reaper& reaper, pid_t leader, int signum = SIGKILL) {
  if (int error = reaper.kill(leader, 0); error != 0) return error;
  return ::kill(-leader, signum) == 0 ? 0 : UV_ESRCH;
}
