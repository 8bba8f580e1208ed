#include "uvreap/process.hpp"

#include <sys/prctl.h>
#include <uv.h>

#include <cerrno>
#include <optional>

#include "os/syscalls.hpp"

namespace uvreap::inline v0 {

wait_result wait4(scope children, int options) noexcept {
  using kind = scope::kind;
  std::optional<pid_t> target;
  if (children.what_ == kind::any) target = -1;
  if (children.what_ == kind::own_group) target = 0;
  if (children.what_ == kind::one && children.number_ > 0) target = children.number_;
  // -1 would be every child, where one group was asked for.
  if (children.what_ == kind::group && children.number_ > 1) target = -children.number_;
  if (!target) return {.error = UV_EINVAL};

  int status = 0;
  ::rusage usage{};
  // Without WNOHANG it may block, and no handler ends that wait.
  pid_t pid = 0;
  do pid = sys::wait4(*target, &status, options, &usage);
  while (pid == -1 && errno == EINTR);
  if (pid == 0) return {};
  if (pid < 0) return {.error = errno == ECHILD ? UV_ESRCH : uv_translate_sys_error(errno)};
  return {.pid = pid, .status = wait_status{status}, .usage = resource_usage::from(usage)};
}

int become_subreaper() noexcept { return sys::from_errno(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)); }

}  // namespace uvreap::inline v0
