// Terminations that are under way: SIGTERM and SIGCONT (a stopped child would not see the other), then
// SIGKILL when the grace is over.
//
// If the child leads a process group, the whole group is meant, and survivors of the leader too: a pidfd of
// the leader is held and the group is signalled through it (PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9). That can
// hit no other process, even after the leader was reaped, and ESRCH says that the group is empty. A number
// would not do: a pgid is recycled as soon as its group is empty, and emptiness cannot be seen by kill(-pgid,
// 0), which finds a lone zombie leader.
//
// On older kernels, and where no pidfd is left (claims::most_held), it works by number, and the leader's
// zombie keeps that: its exit is delivered from waitid(WNOWAIT) when it happens, and the zombie is reaped
// when SIGKILL has been sent, or when a pidfd is free to go on with. Before each signal by number the
// leader's birth is looked at: when other code has taken the zombie, the group may be a stranger's, and the
// termination is over.
//
// An agenda and not a timer each: what is due is done by the sweep, under its budget.
#pragma once

#include <chrono>
#include <memory>

#include "child/child.hpp"
#include "os/claims.hpp"

namespace uvreap {

class termination : public entry {
 public:
  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  [[nodiscard]] bool keeps_zombie() const noexcept { return is_group_ && by_number_ && !is_over_; }

 private:
  friend class terminations;

  [[nodiscard]] int begin() noexcept;
  [[nodiscard]] int send(int signum) noexcept;
  [[nodiscard]] bool has_nobody_left() noexcept;

  identity leader_;
  claims::word claim_ = 0;
  bool is_group_ = false;
  bool by_number_ = false;
  bool may_be_promoted_ = false;  // by number only for want of a descriptor
  bool leader_ended_ = false;
  bool is_over_ = false;
  std::uint64_t kill_at_ms_ = 0;
  std::shared_ptr<termination> self_;  // while it is under way
};

class terminations : public agenda {
 public:
  explicit terminations(claims& all) noexcept : claims_(all) {}

  // What is under way is left as it is, and no process is killed; in a forked copy the children are the
  // parent's.
  void close(bool in_copy) noexcept;

  // 0: under way. UV_ESRCH: it is no child of ours any more. UV_EALREADY. UV_ENOMEM. UV_EPERM.
  [[nodiscard]] int begin(child&, std::uint64_t grace_ms) noexcept;
  void shorten(child&, std::uint64_t grace_ms) noexcept;  // of one that is under way
  void cancel(child&) noexcept;                           // it is the caller's now
  void collected(child&) noexcept;                        // its exit is known: the group's survivors are left

  // Of those that keep their leader's zombie, or will: it may be reaped by nothing else.
  [[nodiscard]] bool is_any_zombie_kept() const noexcept { return keeping_ != 0; }
  void work() noexcept;  // on the first that is due: a signal, or the question whether the group is empty

 private:
  void drop(termination&) noexcept;
  void wait_on(termination&) noexcept;
  void promote(termination&) noexcept;
  void reap_kept_zombie(termination&) noexcept;

  claims& claims_;
  std::size_t keeping_ = 0;  // of those under way
};

}  // namespace uvreap
