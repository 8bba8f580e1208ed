// any(): whose child is an unclaimed zombie, and when may it be taken?
//
// A child is on the list of the thread that forked it; an orphan comes to the main thread. So on the main
// thread all is looked at with __WNOTHREAD, and what other live threads forked (system, popen, waitpid,
// uv_spawn on their loops) is never seen and never taken. What is left is other code on this thread: children
// that another reaper watches, active uv_process_t of this loop and those of exclude() are left, and every
// other zombie for a grace, so that who waits for its own child comes first. Off the main thread orphans do
// not show that way: there all children are looked at, and only the grace protects.
//
// They are listed, not peeked at, since a peek shows only the first: a zombie that is left would hide the
// rest for ever. At most one round over the list is begun each grace / 4, and that is held between 10 ms and
// 50 ms. Nothing is kept by number after an exit is delivered: the zombie is the keep. What is taken must
// still have the birth that was noted at first sight.
//
// The uv_process_t of the loop are found by uv_walk, which cannot be interrupted and visits every handle. It
// is done at the end of a round, and only when a zombie's grace is over that was not there at the walk
// before.
//
// options.sole_parent answers the question: whatever ended may be taken. Then the core takes it by
// wait4(-1), and nothing is listed, remembered or asked; but for the time in which a termination keeps a
// zombie, since wait4(-1) would take that, too.
#pragma once

#include <uv.h>

#include <map>
#include <memory>
#include <vector>

#include "child/children.hpp"
#include "orphans/child_list.hpp"
#include "os/claims.hpp"
#include "os/loop_thread.hpp"

namespace uvreap {

class orphans {
 public:
  // What it takes goes to these two, from a store of records that was filled before.
  orphans(claims&, std::uint32_t mark, const children& living, children& collected, ready_queue&,
          const loop_thread&, const options&, statistics&) noexcept;

  // UV_EBUSY: another reaper of this process has any(). UV_ENOMEM.
  [[nodiscard]] int open(uv_loop_t&) noexcept;
  void close(bool in_copy) noexcept;

  void wake(notice) noexcept;  // sigchld or poller: a backend names children that are watched
  [[nodiscard]] bool has_work() const noexcept;
  [[nodiscard]] int work() noexcept;  // one step; what it cost, in units of the sweep
  [[nodiscard]] std::uint64_t next_ms() const noexcept;

  // options.sole_parent, where the caller waits for any child in place of work().
  [[nodiscard]] bool may_have_ended() const noexcept {
    return (round_wanted_ || !sights_.empty()) && may_take();
  }
  void none_has_ended() noexcept;
  [[nodiscard]] notice noticed_by() const noexcept { return noticed_by_; }

  // A child without a watch was reaped.
  void reaped(pid_t, wait_status, const ::rusage&, notice) noexcept;
  void recycle(std::unique_ptr<child>) noexcept;  // a record of this store, delivered

  [[nodiscard]] int exclude(pid_t) noexcept;  // UV_ESRCH, UV_ENOMEM
  void claimed(pid_t) noexcept;               // it is watched here now
  [[nodiscard]] bool lists() const noexcept { return list_.works(); }

 private:
  struct age_tag {};
  struct sight : hook<age_tag> {
    identity id;
    std::uint64_t first_seen_ns = 0;
    std::uint32_t round = 0;
    notice noticed_by = notice::sigchld;  // when it was first seen
    bool is_of_uv_process = false;        // as the last walk found
  };

  [[nodiscard]] pid_t zombie_among(idtype_t, id_t) const noexcept;  // 0: there is none
  [[nodiscard]] bool may_take() const noexcept;
  [[nodiscard]] bool may_begin_round() const noexcept;
  [[nodiscard]] bool is_oldest_expired() const noexcept;
  [[nodiscard]] std::uint64_t next_round_ns() const noexcept;  // at the earliest
  [[nodiscard]] bool is_claimed(pid_t) const noexcept;
  [[nodiscard]] bool is_excluded(pid_t) noexcept;

  void begin_round();
  int go_on_with_round();
  void end_round() noexcept;
  void see(pid_t);
  int take_oldest() noexcept;
  void walk() noexcept;
  void take(sight&) noexcept;
  void forget_one_that_is_gone() noexcept;

  claims& claims_;
  std::uint32_t mark_;
  const children& living_;
  children& collected_;
  ready_queue& ready_;
  const loop_thread& thread_;
  const options& options_;
  statistics& stats_;
  uv_loop_t* loop_ = nullptr;  // null: not open
  std::vector<std::unique_ptr<child>> store_;

  std::uint64_t grace_ns_;
  std::uint64_t between_rounds_ns_;
  std::uint64_t last_round_ns_ = 0;
  std::uint64_t last_walk_ns_ = 0;
  int this_thread_only_ = 0;  // __WNOTHREAD, or 0 off the main thread

  notice noticed_by_ = notice::sigchld;
  bool round_wanted_ = true;  // zombies may have been there before us
  bool in_round_ = false;
  std::uint32_t round_ = 0;
  std::size_t children_ = 0;  // live ones, as the last round counted them
  child_list list_;
  std::vector<pid_t> page_;
  std::size_t page_next_ = 0;

  std::map<pid_t, sight> sights_;
  queue<sight, age_tag> by_age_;
  std::map<pid_t, identity> excluded_;
  pid_t last_asked_ =
      0;  // of the excluded, which are asked about one after another after a tick of the poller
  bool asks_excluded_ = false;
};

}  // namespace uvreap
