// Who ended? SIGCHLD says that somebody did, never who; an index answers "up to n pids that may have ended".
// An answer is a hint: the pass asks wait4 for each.
//
// Strategies have files of their own: _ring (io_uring), _pidfd (epoll), _peek (waitid); _ladder puts the best
// that works over peek and is what a reaper holds. An index takes no status and calls nobody back.
//
// Destroying one closes its descriptors and says nothing to the kernel objects behind them, so a forked copy
// may do it: what the parent armed stays armed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <span>

#include "uvreap/child_exit.hpp"
#include "uvreap/statistics.hpp"

namespace uvreap {

struct candidate {
  pid_t pid;
  notice said_by;
};

class exit_index {
 public:
  exit_index() = default;
  virtual ~exit_index() = default;
  exit_index(const exit_index&) = delete;
  exit_index& operator=(const exit_index&) = delete;

  // Room for one more, so that a child that was just forked cannot go unwatched for want of memory.
  [[nodiscard]] virtual bool make_room() noexcept = 0;

  // 0, or UV_E*: why this index cannot have the child (one that holds any never says so). A child that ended
  // before it was armed is found like any other.
  virtual int arm(pid_t) noexcept = 0;
  virtual void disarm(pid_t) noexcept = 0;                   // it ended, and its status is taken
  virtual void give_up(pid_t pid) noexcept { disarm(pid); }  // it lives, and is no longer ours to hear of
  virtual void doubt(pid_t) noexcept {}  // it was named, but wait4 had no status: a tracer holds the zombie

  // SIGCHLD, the poller, or our own descriptor said that somebody may have ended.
  virtual void hear(notice) noexcept = 0;

  // Cost: at most three system calls for each pid it may give, and a few more.
  [[nodiscard]] virtual std::size_t take(std::span<candidate>) noexcept = 0;
  [[nodiscard]] virtual bool has_more() const noexcept = 0;  // take() would look again

  // What the loop polls for reading; -1: there is nothing to poll. The index's own.
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }

  // A tick of the poller: what could not be had at start for want of descriptors may be had by now. poll is
  // given the descriptor that is new then; where it fails, all stays as it was.
  virtual void try_again(const std::function<int(int descriptor)>& /*poll*/) noexcept {}

  // In a forked copy that leaves its handles to the copied loop: the descriptor stays open when this is
  // destroyed. That loop polls it again after uv_loop_fork, and libuv aborts where epoll_ctl says EBADF.
  virtual void leave_descriptor() noexcept {}

  // The wait word of a child whose status somebody else took; false: the kernel does not tell it.
  [[nodiscard]] virtual bool recover(pid_t, int& /*word*/) noexcept { return false; }

  virtual void describe(statistics&) const noexcept = 0;  // index, children on each rung, steps down
};

// 0 and an index, or UV_ENOTSUP: that kind is not to be had; UV_EMFILE, UV_ENFILE, UV_ENOMEM: not now.
[[nodiscard]] int make_exit_index(backend_kind, std::unique_ptr<exit_index>& out) noexcept;

// One rung by itself; each is tried on a real process before it is called good.
[[nodiscard]] int make_exit_index_ring(std::unique_ptr<exit_index>& out) noexcept;
[[nodiscard]] int make_exit_index_pidfd(std::unique_ptr<exit_index>& out) noexcept;

}  // namespace uvreap
