// What a reaper did and how it is: counters since start(), for metrics and for tests.
#pragma once

#include "uvreap/export.hpp"

#include <chrono>
#include <cstdint>
#include <iosfwd>

namespace uvreap::inline v0 {

// How a reaper learns who ended. Their costs differ: see docs/backends.md.
enum class backend_kind {
  automatic,  // the best that works here; beside a ring the youngest 64 children are on pidfds
  ring,       // io_uring polls on pidfds
  pidfd,      // pidfds in one epoll set
  peek,       // waitid(WNOWAIT) shows the first zombie: the kernel walks all children
};

enum class sigchld_health {
  healthy,
  ignored,  // SIG_IGN or SA_NOCLDWAIT: children leave no status, every exit will be lost
  blocked,  // blocked in the loop's thread, and one is pending: only poller and backend notice exits
  unheard,  // the poller found an exit that no signal told
};

struct UVREAP_API statistics {
  // Now: living children that are watched, detached and reserved ones too.
  std::uint64_t watched = 0;
  // Now: of those, children that the backend names by itself (none on peek).
  std::uint64_t on_backend = 0;

  std::uint64_t reaped = 0;  // unclaimed ones too; lost and recovered ones not
  std::uint64_t lost = 0;    // delivered so, numbers given to post_watch() that were no child of ours too
  std::uint64_t unclaimed = 0;

  std::uint64_t sweeps = 0;
  // Sweeps that left work for the next turn since their budget was spent.
  std::uint64_t budget_spent_turns = 0;
  // Thread CPU, without the callbacks; up to a quarter of budget_time by the monotonic clock.
  std::chrono::nanoseconds longest_sweep{0};

  // Notices, not exits: one may stand for many exits, or for none. Each tick of the poller is one.
  std::uint64_t wakeups_by_sigchld = 0;
  std::uint64_t wakeups_by_backend = 0;
  std::uint64_t wakeups_by_poller = 0;
  std::uint64_t missed = 0;  // exits that the poller found and nothing else told by the next turn

  backend_kind backend = backend_kind::automatic;  // in use; automatic: not started
  std::uint64_t on_ring = 0;                       // now: children on each backend
  std::uint64_t on_pidfd = 0;
  std::uint64_t on_peek = 0;
  int degraded = 0;  // UV_E*: why the best backend, or a place on it, was last not available; 0: never

  sigchld_health sigchld = sigchld_health::healthy;

  std::uint64_t recovered = 0;  // other code took the status, but the kernel still had it

  // any() without /proc/self/task/TID/children: unclaimed zombies are taken one after another, each after its
  // grace, and one that is excluded hides those behind it.
  bool unclaimed_one_by_one = false;

  // Now: watched children of which the machine tells no birth (no pidfd, no /proc): known by number alone.
  std::uint64_t by_number = 0;
  // Now: children without a callback, living or collected, that are kept for a watch() to come.
  std::uint64_t reserved = 0;
  // Now: pidfds that all reapers of this process hold, for children and terminations.
  std::uint64_t held_pidfds = 0;

  friend bool operator==(const statistics&, const statistics&) noexcept = default;
};

UVREAP_API std::ostream& operator<<(std::ostream&, backend_kind);
UVREAP_API std::ostream& operator<<(std::ostream&, sigchld_health);
UVREAP_API std::ostream& operator<<(std::ostream&, const statistics&);

}  // namespace uvreap::inline v0
