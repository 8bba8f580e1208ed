#include "os/birth.hpp"

#include <uv.h>

#include <cerrno>

#include "os/claims.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

child_state ask(idtype_t by, id_t id, int changes = 0) noexcept {
  siginfo_t info{};
  int options = WEXITED | WNOHANG | WNOWAIT | __WALL | changes;
  if (sys::retried(sys::waitid, by, id, &info, options) != 0) {
    return errno == ECHILD ? child_state::none : child_state::unknown;
  }
  if (info.si_pid == 0) return child_state::living;
  if (info.si_code <= last_end) return child_state::ended;
  bool has_changed = changes != 0 && (info.si_code == CLD_STOPPED || info.si_code == CLD_CONTINUED);
  return has_changed ? child_state::changed : child_state::living;
}

}  // namespace

child_state look_at(pid_t pid) noexcept { return ask(P_PID, static_cast<id_t>(pid)); }

birth birth::of(pid_t pid, int pidfd) noexcept {
  birth found;
  std::uint64_t device = 0;
  if (pidfd >= 0 && sys::inode_of_pidfd(pidfd, &found.number, &device) == 0) {
    found.device = static_cast<std::uint32_t>(device);
    found.what = kind::inode;
  } else if (sys::start_time_of(pid, &found.number) == 0) {
    found.what = kind::start_time;
  }
  return found;
}

std::uint32_t birth::tag() const noexcept {
  auto low = static_cast<std::uint32_t>(number);
  return what == kind::unknown ? 0 : low == 0 ? 1 : low;
}

int identity::open() noexcept {
  pidfd_.reset(sys::pidfd_open(pid));
  int error = pidfd_ ? 0 : uv_translate_sys_error(errno);
  birth_ = birth::of(pid, pidfd_.get());
  return error;
}

bool identity::keep(claims& all, std::size_t limit) noexcept {
  if (held_ || !pidfd_) return held_;
  held_ = all.hold(limit);
  if (!held_) pidfd_.reset();
  return held_;
}

void identity::let_go(claims& all) noexcept {
  if (held_) all.let_go();
  held_ = false;
  pidfd_.reset();
}

int identity::reopen(descriptor& out) const noexcept {
  descriptor fresh(sys::pidfd_open(pid));
  if (!fresh) {
    // Before Linux 6.15 or so the number of a thread is EINVAL, later ENOENT: a stranger's, as ours was none.
    bool is_anothers = errno == ESRCH || errno == EINVAL || errno == ENOENT;
    return is_anothers ? UV_ESRCH : uv_translate_sys_error(errno);
  }
  if (is_stranger(birth::of(pid, fresh.get()))) return UV_ESRCH;
  out = std::move(fresh);
  return 0;
}

child_state identity::look(bool changes_too) const noexcept {
  int changes = changes_too ? WSTOPPED | WCONTINUED : 0;
  int pidfd = pidfd_.get();
  if (pidfd < 0) return look_by_number(changes);
  child_state state = ask(P_PIDFD, static_cast<id_t>(pidfd), changes);
  return state != child_state::unknown ? state : look_by_number(changes);  // EINVAL: before Linux 5.4
}

child_state identity::look_by_number(int changes) const noexcept {
  descriptor fresh;
  if (!pidfd_ && birth_.what == birth::kind::inode) {
    int error = reopen(fresh);
    if (error == UV_ESRCH) return child_state::none;
    if (error == 0) {
      child_state state = ask(P_PIDFD, static_cast<id_t>(fresh.get()), changes);
      if (state != child_state::unknown) return state;
    }
  }
  // Where no descriptor is left the births cannot be compared: then it is taken so, rather than never.
  child_state state = ask(P_PID, static_cast<id_t>(pid), changes);
  if (state == child_state::none || fresh) return state;
  bool is_other = false;
  if (birth_.what == birth::kind::inode) is_other = reopen(fresh) == UV_ESRCH;
  if (birth_.what == birth::kind::start_time) is_other = is_stranger(birth::of(pid, -1));
  return is_other ? child_state::none : state;
}

int identity::signal(int signum) const noexcept {
  descriptor fresh;
  if (!pidfd_ && reopen(fresh) == UV_ESRCH) return UV_ESRCH;
  if (pidfd_ || fresh) {
    child_state state = pidfd_ ? look() : ask(P_PIDFD, static_cast<id_t>(fresh.get()));
    if (!is_ours(state)) return UV_ESRCH;
    int error = sys::from_errno(sys::pidfd_send_signal(pidfd_ ? pidfd_.get() : fresh.get(), signum));
    if (!is_refused(error)) return error;
  }
  // No pidfd (EMFILE, a seccomp filter), or none that takes a signal: only another thread of ours that waits
  // for it in between could free the number.
  if (!is_ours(look())) return UV_ESRCH;
  return sys::from_errno(sys::kill(pid, signum));
}

int pid_of(int pidfd, pid_t& out) noexcept {
  pid_t pid = sys::pid_of_pidfd(pidfd);
  if (pid < 0) return uv_translate_sys_error(errno);
  // Asked in this order: while the pidfd's child is unwaited for, the number read from it is still its own.
  if (!is_ours(ask(P_PIDFD, static_cast<id_t>(pidfd)))) return UV_ESRCH;
  out = pid;
  return 0;
}

}  // namespace uvreap
