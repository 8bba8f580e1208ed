// What only glibc has. c_library_gnu.cpp calls it; where meson misses one of the three functions (musl has
// none of them), or is told to, c_library_portable.cpp takes its place.
#pragma once

#include <spawn.h>

namespace uvreap::c_library {

// From now on exit(n) ends this process as _exit(n) does, with no destructor and no function of atexit().
// Portable: nothing, since a function of atexit() is not given the exit code.
void make_exit_immediate() noexcept;

// "KILL" of SIGKILL; null for what has no name, the real-time signals among them.
[[nodiscard]] const char* signal_abbreviation(int signum) noexcept;

// The child is to close its descriptors from the lowest on. 0 or errno. Portable: those that are open now and
// would survive the exec; one that another thread opens meanwhile without O_CLOEXEC is missed.
[[nodiscard]] int add_close_from(posix_spawn_file_actions_t&, int lowest) noexcept;

}  // namespace uvreap::c_library
