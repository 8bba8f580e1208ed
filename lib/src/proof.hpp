// Is this number a child of ours that nobody has waited for? As long as it is, the kernel cannot give it to anybody else.
#pragma once

#include <sys/types.h>

namespace uvreap {

enum class child_state { none, living, ended };

[[nodiscard]] child_state look_at(pid_t) noexcept;  // one waitid with WNOWAIT: it takes nothing

// 0 and the number of the child that a pidfd names, or UV_EBADF, UV_EINVAL, UV_ESRCH, UV_ENOTSUP.
[[nodiscard]] int pid_of(int pidfd, pid_t& out) noexcept;

// Sends a signal to a child of ours, or UV_ESRCH: none is there.
[[nodiscard]] int send_signal(pid_t, int signum) noexcept;

}  // namespace uvreap
