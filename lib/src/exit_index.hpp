// Who ended? SIGCHLD says that somebody did, never who; an index answers "up to n pids that may have ended". An
// answer is a hint: the pass asks wait4 for each, and a child that is still there stays armed.
//
// Strategies have files of their own: exit_index_peek. An index takes no status and calls nobody back.
#pragma once

#include <sys/types.h>

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

  // Room for one more, so that arm() cannot fail: a child that was just forked has to be watched.
  [[nodiscard]] virtual bool make_room() noexcept = 0;
  virtual void arm(pid_t) noexcept = 0;
  virtual void disarm(pid_t) noexcept = 0;

  // SIGCHLD or the poller said that somebody may have ended.
  virtual void hear(notice) noexcept = 0;

  // Cost: at most one system call for each pid it may give, and one more.
  [[nodiscard]] virtual std::size_t take(std::span<candidate>) noexcept = 0;
  [[nodiscard]] virtual bool has_more() const noexcept = 0;  // take() would look again

  virtual void describe(statistics&) const noexcept = 0;  // index and children on each rung
};

// 0 and an index, or UV_ENOTSUP: that kind is not to be had.
[[nodiscard]] int make_exit_index(index_kind, std::unique_ptr<exit_index>& out) noexcept;

}  // namespace uvreap
