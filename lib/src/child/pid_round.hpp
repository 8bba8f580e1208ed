// A round over a set of pids, some at a time, over as many turns as the budget makes of it.
//
// It goes by "the next number above the last", so pids may come and go while it is under way. What is asked
// for during a round (a notice came: a child behind the cursor may have ended) makes another round after it.
#pragma once

#include <sys/types.h>

#include <set>
#include <span>

#include "uvreap/child_exit.hpp"

namespace uvreap {

class pid_round {
 public:
  [[nodiscard]] bool make_room() noexcept;  // for one more, before anything that must not fail half-way
  void add(pid_t) noexcept;                 // in the room that was made; again is nothing
  void remove(pid_t pid) noexcept { pids_.erase(pid); }
  [[nodiscard]] bool has(pid_t pid) const noexcept { return pids_.contains(pid); }
  [[nodiscard]] std::size_t size() const noexcept { return pids_.size(); }

  [[nodiscard]] pid_t first_above(pid_t) const noexcept;  // 0: none

  void ask(notice why) noexcept;
  [[nodiscard]] bool under_way() const noexcept { return going_ || again_; }
  [[nodiscard]] notice why() const noexcept { return why_; }  // of what take() gave

  // The next pids of the round, as many as out holds; fewer end it.
  [[nodiscard]] std::size_t take(std::span<pid_t> out) noexcept;

 private:
  std::set<pid_t> pids_;
  std::set<pid_t>::node_type spare_;  // the room
  pid_t cursor_ = 0;
  bool going_ = false;
  bool again_ = false;
  notice why_ = notice::poller;
  notice why_again_ = notice::poller;
};

}  // namespace uvreap
