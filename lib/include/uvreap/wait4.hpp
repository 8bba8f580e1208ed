// wait4(2) with names: which children, and what came of it. Needs no reaper and no loop.
//
//     auto result = uvreap::wait4(uvreap::scope::one(pid));
//     if (result.error == UV_ESRCH) ...     // no such child (the kernel's ECHILD)
//     else if (result.pid == 0) ...         // it lives
//     else std::cout << result.status << ' ' << result.usage << '\n';
//
// Any thread may call it. WARNING: any() takes children that other code waits for (system, popen, uv_spawn
// and other reapers among them); in a program that has a reaper, wait for one child or a group of your own.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <uv.h>

#include "uvreap/export.hpp"
#include "uvreap/resource_usage.hpp"
#include "uvreap/wait_status.hpp"

namespace uvreap {

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
  friend UVREAP_API struct wait_result wait4(scope, int options) noexcept;
  enum class kind { any, group, own_group, one, watched };
  constexpr scope(kind what, pid_t number) noexcept : what_(what), number_(number) {}

  kind what_;
  pid_t number_;
};

struct UVREAP_API wait_result {
  pid_t pid = 0;  // 0: none ready, or an error
  int error = 0;  // 0 or UV_E*: UV_ESRCH no such child, UV_EINVAL bad scope or options
  wait_status status{};
  resource_usage usage{};

  friend bool operator==(const wait_result&, const wait_result&) noexcept = default;
};

// options: WNOHANG, WUNTRACED, WCONTINUED, or'ed. Without WNOHANG it blocks until a child is ready, and a
// signal does not end the wait: EINTR is retried.
[[nodiscard]] UVREAP_API wait_result wait4(scope, int options = WNOHANG) noexcept;

}  // namespace uvreap
