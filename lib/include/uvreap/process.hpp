// Making and waiting for children without a reaper: fork, spawn, wait4, and becoming a subreaper.
//
//     pid_t pid = 0;
//     int error = uvreap::spawn(&pid, {.argv = {"sh", "-c", "exit 3"}});
//     if (error != 0) return error;  // UV_ENOENT: there is no sh
//     return reaper.watch(pid, on_end);
//
// Any thread may call them; they need no loop. Errors are libuv's: 0 or UV_E*.
#pragma once

#include "uvreap/export.hpp"

#include <sys/types.h>
#include <sys/wait.h>

#include "uvreap/child_exit.hpp"
#include "uvreap/command.hpp"

namespace uvreap::inline v0 {

// fork(2) for a program that has an event loop: the child starts with nothing of the parent's signal
// handling. Returns twice: 0 with *out == 0 in the child and the child's pid in the parent, memory copied. On
// failure (UV_EAGAIN, UV_ENOMEM) there is no child, and *out is untouched.
//
// All signals are blocked around the fork, so no handler of the parent's ever runs in the child. In the
// child: handlers that are functions become SIG_DFL; ignored signals stay ignored, except SIGPIPE and
// SIGCHLD, which become SIG_DFL too; the signal mask is the caller's.
//
// The caller promises that the child ends by _exit(2) or exec: returning from main there runs libuv's
// destructor against threads that the child does not have (libuv #4443). As a net, exit(n) in the child ends
// as _exit(n): the destructors of thread_local objects run, then nothing else of the parent's, neither static
// destructors nor atexit functions, and no stdio buffer is written; so flush what the child printed. There is
// no such net with another C library than glibc.
// WARNING: a uv_signal_t on a new loop in the child, for a signal that a loop of the parent listens to, sends
// that signal to the parent's loop too (libuv's table of them is copied), unless uv_loop_fork was called for
// that loop first. A reaper does what is needed for its own.
// WARNING: PR_SET_PDEATHSIG in the child fires when the forking thread ends, not the process.
[[nodiscard]] UVREAP_API int fork(pid_t* out);

// fork and exec in one step, at a cost that does not grow with our memory; the exec's error is the call's. It
// is posix_spawn(3) of the C library: the child borrows our memory until its exec, so
// nothing is copied and none of our code runs in it.
//
// It returns when the exec is done, and holds the calling thread until then: tenths of a millisecond, more
// for a program on a slow file system, and with many open descriptors: the child closes each before its exec,
// which took 6.7 ms for 20 000 (measured; with command::keep_descriptors 0.6 ms). No thread may change the
// environment meanwhile.
//
// 0: the program runs, *out is its pid, and our ends of its pipes are written. Else there is no child, no
// zombie and no descriptor more, and *out and our ends are untouched; but a file that was to be made may have
// been made.
//
//   UV_ENOENT, UV_EACCES, ...  the program, cwd or a file is missing or refused
//   UV_E2BIG                   arguments and environment: above a quarter of the stack limit, or one is
//                              above 128 KiB
//   UV_EAGAIN, UV_ENOMEM       no more processes (RLIMIT_NPROC, cgroup), no memory
//   UV_EMFILE, UV_ENFILE       no descriptors for the pipes
//   UV_EBADF                   a given descriptor is negative or closed
//   UV_EINVAL                  no argv, a NUL in a string, a bad name in env, same_as_output() for another
//                              than error_output, a captured stream: only a reaper can read it
[[nodiscard]] UVREAP_API int spawn(pid_t* out, const command&);

struct wait_result;

// A selection of children: the first argument of wait4(2), or what a reaper was asked to watch.
class UVREAP_API scope {
 public:
  [[nodiscard]] static constexpr scope any() noexcept { return {kind::any, -1}; }
  // pgid from 2 on: wait4 would read group 1 as "any child". Group 1 is in_own_group() of its members.
  [[nodiscard]] static constexpr scope in_group(pid_t pgid) noexcept { return {kind::group, pgid}; }
  [[nodiscard]] static constexpr scope in_own_group() noexcept { return {kind::own_group, 0}; }
  [[nodiscard]] static constexpr scope one(pid_t pid) noexcept { return {kind::one, pid}; }
  // For a reaper: the children that it was given. No selection of wait4, which answers UV_EINVAL.
  [[nodiscard]] static constexpr scope watched() noexcept { return {kind::watched, 0}; }

  friend constexpr bool operator==(const scope&, const scope&) noexcept = default;

 private:
  friend UVREAP_API wait_result wait4(scope, int options) noexcept;
  enum class kind { any, group, own_group, one, watched };
  constexpr scope(kind what, pid_t number) noexcept : what_(what), number_(number) {}

  kind what_;
  pid_t number_;
};

struct UVREAP_API wait_result {
  pid_t pid = 0;  // 0: none ready, or an error
  int error = 0;  // 0 or UV_E*: UV_ESRCH no such child (the kernel's ECHILD), UV_EINVAL bad scope or options
  wait_status status{};
  resource_usage usage{};

  friend bool operator==(const wait_result&, const wait_result&) noexcept = default;
};

// wait4(2): which children, and what came of it. options: WNOHANG, WUNTRACED, WCONTINUED, or'ed. Without
// WNOHANG it blocks until a child is ready, and a signal does not end the wait: EINTR is retried.
//
// WARNING: any() takes children that other code waits for (system, popen, uv_spawn and other reapers among
// them); in a program that has a reaper, wait for one child or a group of your own. A number says nothing
// about which process is meant once other code has waited for it (see reaper.hpp).
[[nodiscard]] UVREAP_API wait_result wait4(scope, int options = WNOHANG) noexcept;

// Orphans go to the nearest living ancestor that is a subreaper, or to the init of the pid namespace. From
// this call on, descendants whose parents end become children of this process (those of before, too, if their
// parent ends after the call). They have to be reaped: a reaper with scope::any() does. Not needed as PID 1.
//
// 0, or UV_E* of prctl(2), as where a seccomp filter refuses it: then nothing changed. The whole process is
// it, its threads too; children do not inherit it, exec keeps it (PR_SET_CHILD_SUBREAPER, Linux 3.4).
[[nodiscard]] UVREAP_API int become_subreaper() noexcept;

}  // namespace uvreap::inline v0
