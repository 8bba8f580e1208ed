// any(): whose child is an unclaimed zombie, and when may it be taken?
//
// A child is on the list of the thread that forked it; an orphan comes to the main thread. So on the main
// thread all is looked at with __WNOTHREAD, and what other live threads forked (system, popen, waitpid,
// uv_spawn on their loops) is never seen and never taken. What is left is other code on this thread: pids
// that another reaper watches, active uv_process_t of this loop and pids of exclude() are left, and every
// other zombie for a grace, so that who waits for its own child comes first. Off the main thread orphans do
// not show that way: there all children are looked at, and only the grace protects.
//
// They are listed, not peeked at, since a peek shows only the first: a zombie that somebody leaves would hide
// the rest for ever. Nor does a peek say whether a listing is worth while: it goes through all live children
// in one piece, 2 ms of the loop's time for ten thousand (0.3 ms while they are in the CPU's caches), and a
// listing can stop after each page. At most one is begun each grace / 4, and that is held between 10 ms and
// 50 ms. Nothing is kept by number after an exit is told: the zombie is the keep.
#pragma once

#include <sys/wait.h>
#include <uv.h>

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <vector>

#include "reaper/budget.hpp"
#include "orphans/child_list.hpp"
#include "child/pid_round.hpp"
#include "child/ready_list.hpp"
#include "os/claims.hpp"
#include "uvreap/reaper.hpp"
#include "child/watch_table.hpp"

namespace uvreap {

class ownership {
 public:
  ownership(uv_loop_t&, registry&, const watch_table&, ready_list&, const options&, statistics&) noexcept;

  void hear(notice) noexcept;
  [[nodiscard]] bool has_work() const noexcept;
  void look(budget&) noexcept;  // within the budget; what it takes goes to the ready list

  // Nanoseconds of the monotonic clock at which a look is due although nobody says so: a grace ends.
  [[nodiscard]] std::optional<std::uint64_t> next_look() const noexcept;

  [[nodiscard]] int exclude(pid_t) noexcept;  // UV_ENOMEM
  void claimed(pid_t) noexcept;                   // somebody watches it here now
  [[nodiscard]] bool lists() const noexcept { return list_.works(); }

 private:
  // The first, untaken; 0: all live; empty: no child is among them.
  [[nodiscard]] std::optional<pid_t> zombie_among(idtype_t, id_t) const noexcept;
  void begin_round();
  void go_on_with_round(budget&);
  void end_round() noexcept;
  void saw(pid_t);
  void take_ripe(budget&);
  void take(pid_t, notice);
  void drop_stale() noexcept;
  void forget_the_gone(budget&) noexcept;

  [[nodiscard]] bool is_claimed(pid_t) const;
  [[nodiscard]] bool is_somebodys(pid_t);
  [[nodiscard]] bool is_left_alone(pid_t);
  [[nodiscard]] std::uint64_t round_may_begin() const noexcept;

  uv_loop_t& loop_;
  registry& registry_;
  std::uint8_t owner_;
  const watch_table& table_;
  ready_list& ready_;
  const options& options_;
  statistics& stats_;

  std::uint64_t grace_ns_;
  std::uint64_t between_rounds_ns_;
  std::uint64_t last_round_ns_ = 0;
  int this_thread_only_ = 0;  // __WNOTHREAD, or 0 off the main thread

  notice said_by_ = notice::sigchld;
  bool round_wanted_ = true;  // zombies may have been there before us
  bool in_round_ = false;
  std::size_t children_ = 0;  // live ones, as the last round counted them
  child_list list_;
  std::vector<pid_t> page_;
  std::size_t page_next_ = 0;

  struct sight {
    std::uint64_t first_ns;
    std::uint32_t round;
    notice said_by;  // when it was first seen: what is heard during its grace is another's
  };
  std::map<pid_t, sight> sights_;
  std::list<std::pair<pid_t, std::uint64_t>>
      by_age_;  // with the first sight: it is stale if that one is gone
  std::uint32_t round_ = 0;

  std::map<pid_t, std::uint64_t>
      left_alone_;  // with the start time, which tells a younger one with that number
  pid_round left_alone_round_;
  std::vector<pid_t> uv_processes_;  // of this look
};

}  // namespace uvreap
