// fork and exec in one step, at a cost that does not grow with our memory; the exec's error is the call's.
//
//     pid_t pid = 0;
//     int error = uvreap::spawn(&pid, {.argv = {"sh", "-c", "exit 3"}});
//     if (error != 0) return error;  // UV_ENOENT: there is no sh
//     error = reaper.watch(pid, on_exit);
//
// Needs no reaper. It is posix_spawn(3) of the C library (glibc 2.34 or newer): the child borrows our memory
// until its exec, so nothing is copied and none of our code runs in it.
#pragma once

#include <sys/types.h>

#include "uvreap/command.hpp"
#include "uvreap/export.hpp"

namespace uvreap {

// Returns when the exec is done, and holds the calling thread until then: microseconds, unless the program
// lies on a file system that is slow. Any thread may call it, but none may change the environment meanwhile.
//
// 0: the program runs, *out is its pid, and our ends of its pipes are written. Else there is no child, no
// zombie and no descriptor more, and *out and our ends are untouched; but a file that was to be made may have
// been made.
//
//   UV_ENOENT, UV_EACCES, ...  the program, cwd or a file: not there, not to be had
//   UV_E2BIG                   arguments and environment: above a quarter of the stack limit, or one is
//                              above 128 KiB
//   UV_EAGAIN, UV_ENOMEM       no more processes (RLIMIT_NPROC, cgroup), no memory
//   UV_EMFILE, UV_ENFILE       no descriptors for the pipes
//   UV_EBADF                   a given descriptor is negative or closed
//   UV_EINVAL                  no argv, a NUL in a string, a bad name in env, same_as_output() for another
//                              than error_output, a captured stream: only a reaper can read it
[[nodiscard]] UVREAP_API int spawn(pid_t* out, const command&);

}  // namespace uvreap
