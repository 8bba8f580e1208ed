// One bounded look at what has ended, in the loop's check phase: tell what the pass before collected, then
// collect.
//
// That order puts a whole poll phase between taking a status and telling it, so what the child wrote before
// it ended was readable in that poll and has gone to its callback. Collecting and telling in one check phase
// does not give that: the batch of events is frozen when epoll_wait returns (systemd #18922, otp #10411).
//
// Knows nothing of libuv: who marks it due and who calls run() is the business of running.
#pragma once

#include <array>
#include <list>
#include <memory>

#include "reaper/budget.hpp"
#include "end/endings.hpp"
#include "backends/backend.hpp"
#include "orphans/orphans.hpp"
#include "child/pid_round.hpp"
#include "child/ready_list.hpp"
#include "os/claims.hpp"
#include "uvreap/reaper.hpp"
#include "child/watch_table.hpp"

namespace uvreap {

class pass {
 public:
  pass(registry&, exit_index&, watch_table&, ready_list&, const options&, statistics&) noexcept;

  // any(): what nobody watches is looked at too, after those that are.
  void own(std::unique_ptr<ownership> unclaimed) noexcept { unclaimed_ = std::move(unclaimed); }
  [[nodiscard]] ownership* unclaimed() const noexcept { return unclaimed_.get(); }

  // Who is to know that a status was taken, and may want the zombie kept.
  void tell_endings(endings& all) noexcept { endings_ = &all; }

  void hear(notice) noexcept;
  void hint(pid_t, notice) noexcept;  // this one may have ended

  [[nodiscard]] bool make_room() noexcept;  // for one more child
  void add(pid_t, bool wants_changes) noexcept;
  void want_changes(pid_t) noexcept;  // of one that is there
  void give_up(pid_t) noexcept;       // it lives, and is no longer ours
  [[nodiscard]] bool has_work() const noexcept;
  [[nodiscard]] bool needs_sigchld()
      const noexcept;  // a child that no index names, or a stop that somebody awaits

  // Its number is a newborn's by now.
  void lost(pid_t pid, notice who) noexcept { ended({.pid = pid, .lost = true, .noticed_by = who}, true); }

  // Runs callbacks, of which each may call stop(). True: work is left for the next turn. Cost: the budget.
  [[nodiscard]] bool run() noexcept;
  // Who claims in the registry for the children of this pass.
  [[nodiscard]] std::uint8_t owner() const noexcept { return owner_; }

  void stop() noexcept { stopped_ = true; }  // nothing is collected from now on

  [[nodiscard]] bool poller_found() noexcept;  // anything, since last asked
  [[nodiscard]] bool unheard() const noexcept { return unheard_; }

 private:
  int tell() noexcept;
  void collect(int told) noexcept;
  void still_there(candidate) noexcept;
  void collect_one(candidate) noexcept;
  void look_at_kept(candidate) noexcept;
  void ended(child_exit, bool number_is_kept = false) noexcept;
  void refill() noexcept;
  void settle_missed() noexcept;
  [[nodiscard]] std::uint64_t other_notices() const noexcept;

  registry& registry_;
  std::uint8_t owner_;
  exit_index& index_;
  watch_table& table_;
  ready_list& ready_;
  const options& options_;
  statistics& stats_;

  std::unique_ptr<ownership> unclaimed_;  // null but in any()
  endings* endings_ = nullptr;
  pid_round wants_changes_;  // SIGCHLD says "stopped" and "ended" alike: those that asked are looked at
  std::list<candidate> hints_;
  std::size_t hints_now_ =
      0;  // of this pass; one that comes during it waits, or a child that fails would starve all
  std::array<candidate, 16> batch_{};  // taken from a source and not looked at yet, over turns if need be
  std::size_t batch_next_ = 0;
  std::size_t batch_end_ = 0;
  bool index_is_next_ = true;  // the two sources take turns, so neither starves the other

  std::uint64_t found_now_ =
      0;  // by the poller, in the pass before: missed if no other notice comes by the next
  std::uint64_t notices_then_ = 0;  // when the poller spoke
  bool poller_found_ = false;
  bool unheard_ = false;
  bool stopped_ = false;
};

}  // namespace uvreap
