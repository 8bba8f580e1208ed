// The making of a child, and its exit, as something to co_await.
//
//     task build(uvreap::reaper& reaper) {
//       uvreap::command make{.argv = {"make"}};  // gcc 12 refuses lists in braces within co_await
//       auto [error, pid] = co_await reaper.spawned(make);
//       if (error != 0) co_return;
//       auto [lost_watch, exit] = co_await reaper.exit_of(pid);
//       if (lost_watch == 0) std::cout << exit << '\n';
//     }
//
// The coroutine goes on where a callback would run: on the loop's thread, in a turn after the exit was
// collected. If the child cannot be watched it goes on at once, with the error that watch() gave. If the
// watch ends without an exit it goes on with UV_ECANCELED: inside release(), detach(), close() or the
// reaper's destructor, so it must not destroy what called it there.
//
// Destroying a coroutine that waits here cancels: the child is detached, that is reaped and not delivered.
// What the coroutine throws is its own promise's business; an exception that leaves resume() ends the
// program, as from a callback.
#pragma once

#include "uvreap/export.hpp"

#include <sys/types.h>

#include <coroutine>
#include <memory>

#include "uvreap/child_exit.hpp"

namespace uvreap::inline v0 {

class reaper;
struct command;
struct watch_options;

struct UVREAP_API exit_result {
  int error = 0;      // 0, an error of watch(), or UV_ECANCELED
  child_exit exit{};  // if there is no error

  friend bool operator==(const exit_result&, const exit_result&) noexcept = default;
};

// Of reaper::exit_of(), to be awaited at once and once. It watches from co_await on.
class UVREAP_API awaitable {
 public:
  ~awaitable();
  awaitable(const awaitable&) = delete;
  awaitable& operator=(const awaitable&) = delete;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<>) noexcept;
  [[nodiscard]] exit_result await_resume() noexcept;

 private:
  friend class reaper;
  struct UVREAP_LOCAL waiter;
  class UVREAP_LOCAL resumption;
  awaitable(reaper&, pid_t, watch_options);

  std::shared_ptr<waiter> waiter_;
};

struct UVREAP_API spawn_result {
  int error = 0;  // 0, an error of spawn_async() or of what it tells started
  pid_t pid = 0;  // if there is no error

  friend bool operator==(const spawn_result&, const spawn_result&) noexcept = default;
};

// Of reaper::spawned(), likewise. The child is reserved: reaped, and held until exit_of() or watch() takes
// its exit. Destroying a coroutine that waits here cancels: what is not begun is never made, and what is
// begun is detached.
class UVREAP_API spawn_awaitable {
 public:
  ~spawn_awaitable();
  spawn_awaitable(const spawn_awaitable&) = delete;
  spawn_awaitable& operator=(const spawn_awaitable&) = delete;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<>) noexcept;
  [[nodiscard]] spawn_result await_resume() noexcept;

 private:
  friend class reaper;
  struct UVREAP_LOCAL waiter;
  spawn_awaitable(reaper&, command);

  std::shared_ptr<waiter> waiter_;
};

}  // namespace uvreap::inline v0
