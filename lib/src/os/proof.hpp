// Is this number a child of ours that nobody has waited for? As long as it is, the kernel cannot give it to
// anybody else.
#pragma once

#include <sys/types.h>

namespace uvreap {

enum class child_state {
  none,
  living,
  ended,
  unknown,  // waitid failed otherwise (a filter): ours or not, nobody can say
};

// For a signal and for identity only what is proven counts.
[[nodiscard]] constexpr bool is_ours(child_state state) noexcept {
  return state == child_state::living || state == child_state::ended;
}

[[nodiscard]] child_state look_at(pid_t) noexcept;  // one waitid with WNOWAIT: it takes nothing

// 0 and the number of the child that a pidfd names, or UV_EBADF, UV_EINVAL, UV_ESRCH, UV_ENOTSUP.
[[nodiscard]] int pid_of(int pidfd, pid_t& out) noexcept;

// Sends a signal to a child of ours, or UV_ESRCH: none is there.
[[nodiscard]] int send_signal(pid_t, int signum) noexcept;

}  // namespace uvreap
