// What a reaper did and how it is: counters since start(), for metrics and for tests.
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>

#include "uvreap/export.hpp"

namespace uvreap {

// How a reaper learns who ended. Each costs something else; design and figures in the README.
enum class index_kind {
  automatic,  // the best that works here
  ring,       // io_uring polls on pidfds
  pidfd,      // pidfds in one epoll set
  peek,       // waitid(WNOWAIT) shows the first zombie: the kernel walks all children, no descriptor is held
};

enum class sigchld_health {
  healthy,
  ignored,  // SIG_IGN or SA_NOCLDWAIT: children leave no status, every exit will be lost
  blocked,  // blocked in the loop's thread, and one is waiting: only poller and index hear
  unheard,  // the poller found an exit that no signal told
};

struct UVREAP_API statistics {
  std::uint64_t watched = 0;  // now: children in the table, forgotten and reserved ones too
  std::uint64_t indexed = 0;  // now: children that the index can name by itself (none on the rung peek)

  std::uint64_t reaped = 0;  // unclaimed ones too; lost and recovered ones not
  std::uint64_t lost = 0;
  std::uint64_t unclaimed = 0;

  std::uint64_t passes = 0;
  std::uint64_t budget_spent_turns =
      0;  // passes that left work for the next turn since their budget was spent
  std::chrono::nanoseconds longest_pass{0};  // thread CPU, without the callbacks

  // Notices, not exits: one may stand for many exits, or for none. Each tick of the poller is one.
  std::uint64_t heard_by_sigchld = 0;
  std::uint64_t heard_by_index = 0;
  std::uint64_t heard_by_poller = 0;
  std::uint64_t missed = 0;  // exits that the poller found and nothing else told by the next turn

  index_kind index = index_kind::automatic;  // in use; automatic: not started
  std::uint64_t on_ring = 0;                 // now: children on each rung
  std::uint64_t on_pidfd = 0;
  std::uint64_t on_peek = 0;
  int stepped_down = 0;  // UV_E*: why the best rung, or a place on it, was last not to be had; 0: never

  sigchld_health sigchld = sigchld_health::healthy;

  std::uint64_t recovered =
      0;  // taken by somebody else, but told with the true status, which the kernel knew

  // any() without /proc/self/task/TID/children: unclaimed zombies are taken one after another, each after its
  // grace, and one that is left alone hides those behind it.
  bool unclaimed_one_by_one = false;

  friend bool operator==(const statistics&, const statistics&) noexcept = default;
};

UVREAP_API std::ostream& operator<<(std::ostream&, index_kind);
UVREAP_API std::ostream& operator<<(std::ostream&, sigchld_health);
UVREAP_API std::ostream& operator<<(std::ostream&, const statistics&);

}  // namespace uvreap
