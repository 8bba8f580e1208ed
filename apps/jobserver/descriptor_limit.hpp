// The soft limit of open descriptors: raised for the server where it needs more, and not for the jobs.
//
// The limit is the process's, and the jobs are made on another thread: it cannot be lowered around the making
// of one. So it is not raised before descriptors run short, and from then on a job is given the original one
// by prlimit(1), on the way to its program and at the cost of one more exec.
#pragma once

#include <sys/resource.h>

#include <string>
#include <uvreap/command.hpp>

namespace descriptor_limit {

// Empty, or why it could not be raised so far.
[[nodiscard]] std::string allow(rlim_t needed);

// To what was allowed. False where that is no more than it is, and where there is no prlimit(1).
[[nodiscard]] bool can_raise();
void raise();

// The newest descriptor is so near to the limit that it is time to raise it.
[[nodiscard]] bool is_near(int descriptor);

// Has the command run with the original one. UV_ENOENT, UV_EACCES: of its program. What only the exec could
// tell is no error of the spawn then: prlimit writes it to stderr and exits with 126 or 127, and gives a
// script without #! to sh.
[[nodiscard]] int give_back(uvreap::command&);

}  // namespace descriptor_limit
