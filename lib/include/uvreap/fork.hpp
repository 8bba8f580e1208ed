// fork(2) for a program that has an event loop: the child starts with nothing of the parent's signal
// handling.
//
//     pid_t pid;
//     if (int error = uvreap::fork(&pid)) return error;
//     if (pid == 0) { do_work(); _exit(0); }
//     return reaper.watch(pid, on_exit);
//
// Needs no reaper. All signals are blocked around the fork, so no handler of the parent's ever runs in the
// child.
#pragma once

#include <sys/types.h>

#include "uvreap/export.hpp"

namespace uvreap {

// Returns twice, like fork(2): 0 with *out == 0 in the child and the child's pid in the parent, memory
// copied. On failure (UV_EAGAIN, UV_ENOMEM) there is no child, and *out is untouched. Any thread may call it.
//
// In the child: handlers that are functions become SIG_DFL; ignored signals stay ignored, except SIGPIPE and
// SIGCHLD, which become SIG_DFL too; the signal mask is the caller's.
//
// The caller promises that the child ends by _exit(2) or exec: returning from main there runs libuv's
// destructor against threads that the child does not have (libuv #4443). As a net, exit(n) in the child is
// turned into _exit(n): no destructor and no atexit function of the parent's runs, and no stdio buffer is
// written, so flush what the child printed.
// WARNING: a uv_signal_t on a new loop in the child, for a signal that a loop of the parent listens to, sends
// that signal to the parent's loop too (libuv's table of them is copied), unless uv_loop_fork was called for
// that loop first. A reaper sees to it for its own.
// WARNING: PR_SET_PDEATHSIG in the child fires when the forking thread ends, not the process.
[[nodiscard]] UVREAP_API int fork(pid_t* out);

}  // namespace uvreap
