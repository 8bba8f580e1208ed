#include "os/proof.hpp"

#include <uv.h>

#include <cerrno>

#include "os/descriptor.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

child_state look(idtype_t by, id_t id) noexcept {
  siginfo_t info{};
  int result = -1;
  for (int tries = 0; tries < 16; ++tries) {  // WNOHANG does not say EINTR; a filter may
    result = sys::waitid(by, id, &info, WEXITED | WNOHANG | WNOWAIT | __WALL);
    if (result == 0 || errno != EINTR) break;
  }
  if (result != 0) return errno == ECHILD ? child_state::none : child_state::unknown;
  return info.si_pid == 0 ? child_state::living : child_state::ended;
}

int from_errno(int result) noexcept { return result == 0 ? 0 : uv_translate_sys_error(errno); }

}  // namespace

child_state look_at(pid_t pid) noexcept { return look(P_PID, static_cast<id_t>(pid)); }

int pid_of(int pidfd, pid_t& out) noexcept {
  pid_t pid = sys::pid_of_pidfd(pidfd);
  if (pid < 0) return uv_translate_sys_error(errno);
  // Asked in this order: while the pidfd's child is unwaited for, the number read from it is still its own.
  if (!is_ours(look(P_PIDFD, static_cast<id_t>(pidfd)))) return UV_ESRCH;
  out = pid;
  return 0;
}

int send_signal(pid_t pid, int signum) noexcept {
  owned_descriptor pidfd(sys::pidfd_open(pid));
  if (pidfd) {
    if (!is_ours(look(P_PIDFD, static_cast<id_t>(pidfd.get())))) return UV_ESRCH;
    return from_errno(sys::pidfd_send_signal(pidfd.get(), signum));
  }
  if (errno == ESRCH) return UV_ESRCH;
  // No pidfd to be had (EMFILE, a seccomp filter): only another thread of ours that waits for it in between
  // could free the number.
  if (!is_ours(look_at(pid))) return UV_ESRCH;
  return from_errno(sys::kill(pid, signum));
}

}  // namespace uvreap
