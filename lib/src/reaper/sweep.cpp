#include "reaper/sweep.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "os/syscalls.hpp"

namespace uvreap {
namespace {

// With WNOHANG the kernel does not say EINTR; a tracer or a filter may. Bounded, as everything in a pass.
constexpr int tries_at_eintr = 16;

pid_t wait_for(pid_t pid, int options, int* word, ::rusage* usage) noexcept {
  for (int tries = 1;; ++tries) {
    pid_t result = sys::wait4(pid, word, options, usage);
    if (result >= 0 || errno != EINTR || tries == tries_at_eintr) return result;
  }
}

}  // namespace

pass::pass(registry& all, exit_index& index, watch_table& table, ready_list& ready, const options& options,
           statistics& stats) noexcept
    : registry_(all),
      owner_(all.new_owner()),
      index_(index),
      table_(table),
      ready_(ready),
      options_(options),
      stats_(stats) {}

void pass::hear(notice who) noexcept {
  if (who == notice::sigchld) ++stats_.wakeups_by_sigchld, unheard_ = false;
  if (who == notice::backend) ++stats_.wakeups_by_backend;
  if (who == notice::poller) {
    ++stats_.wakeups_by_poller;
    if (found_now_ == 0) notices_then_ = other_notices();
  }
  index_.hear(who);
  if (who != notice::backend) wants_changes_.ask(who);
  if (unclaimed_) unclaimed_->hear(who);
}

void pass::hint(pid_t pid, notice who) noexcept try {
  hints_.push_back({pid, who});
} catch (const std::bad_alloc&) {
  // No memory for a hint: the poller finds it.
}

bool pass::make_room() noexcept { return wants_changes_.make_room() && index_.make_room(); }

void pass::add(pid_t pid, bool wants_changes) noexcept {
  index_.arm(pid);
  if (wants_changes) want_changes(pid);
}

void pass::want_changes(pid_t pid) noexcept { wants_changes_.add(pid); }

void pass::give_up(pid_t pid) noexcept {
  index_.give_up(pid);
  wants_changes_.remove(pid);
}

bool pass::has_work() const noexcept {
  return batch_next_ < batch_end_ || !hints_.empty() || index_.has_more() || wants_changes_.under_way() ||
         (unclaimed_ && unclaimed_->has_work());
}

bool pass::needs_sigchld() const noexcept {
  statistics now;
  index_.describe(now);
  return now.on_peek != 0 || wants_changes_.size() != 0 || unclaimed_ != nullptr;
}

bool pass::run() noexcept {
  ++stats_.sweeps;
  settle_missed();
  int told = tell();
  if (stopped_) return false;

  if (has_work()) collect(told);
  return has_work() || !ready_.empty() || found_now_ != 0;
}

int pass::tell() noexcept {
  // Only what is there now: what a callback adds waits for the next turn, or a chain of them would never end.
  int count = static_cast<int>(std::min(ready_.size(), static_cast<std::size_t>(options_.budget)));
  for (int i = 0; i < count && !ready_.empty() && !stopped_; ++i) ready_.tell_one();
  return count;
}

void pass::collect(int told) noexcept {
  budget budget(options_.budget, options_.budget_time);  // begins after the callbacks, whose time is not ours
  budget.told(told);
  hints_now_ = hints_.size();
  while (!budget.spent()) {
    if (batch_next_ == batch_end_) refill();
    if (batch_next_ == batch_end_) break;
    collect_one(batch_[batch_next_++]);
    budget.looked_at_one();
  }
  if (unclaimed_ && !budget.spent() && unclaimed_->has_work()) unclaimed_->look(budget);
  if (budget.spent() && has_work()) ++stats_.budget_spent_turns;
  stats_.longest_sweep = budget.longer_than(stats_.longest_sweep);
}

void pass::refill() noexcept {
  batch_next_ = batch_end_ = 0;
  for (; hints_now_ > 0 && batch_end_ < batch_.size(); --hints_now_) {
    batch_[batch_end_++] = hints_.front();
    hints_.pop_front();
  }
  for (int sources = 2; sources > 0 && batch_end_ == 0; --sources, index_is_next_ = !index_is_next_) {
    if (index_is_next_) {
      batch_end_ = index_.take(batch_);
    } else {
      std::array<pid_t, 16> pids{};
      batch_end_ = wants_changes_.take(pids);
      for (std::size_t i = 0; i < batch_end_; ++i) batch_[i] = {pids[i], wants_changes_.why()};
    }
  }
}

void pass::collect_one(candidate who) noexcept {
  watch* watched = table_.find(who.pid);
  if (watched == nullptr) return;                    // released since
  if (!ready_.make_room()) return still_there(who);  // no memory: its status stays where it is
  if (endings_ != nullptr && endings_->keeps_zombie(who.pid)) return look_at_kept(who);
  bool wants_changes = watched->changes != nullptr && !watched->changes->muted;

  // By number, and __WALL: a child of clone() with another exit signal is invisible without it.
  int options = WNOHANG | __WALL | (wants_changes ? WUNTRACED | WCONTINUED : 0);
  int word = 0;
  ::rusage usage{};
  if (!registry_.collecting(who.pid, owner_)) {
    // Claimed anew for a child that was just forked: so the number was free, and ours was taken by somebody.
    return ended({.pid = who.pid, .lost = true, .noticed_by = who.said_by}, true);
  }
  pid_t result = wait_for(who.pid, options, &word, &usage);
  int error = result < 0 ? errno : 0;  // errno says nothing after a success
  wait_status status(word);

  if (result == who.pid && status.ended()) {
    ended(
        {.pid = who.pid, .status = status, .usage = resource_usage::from(usage), .noticed_by = who.said_by});
    return;
  }
  if (error == ECHILD) {
    // Somebody else took it; no status is invented (libuv is silent here, asyncio says 255).
    bool recovered = index_.recover(who.pid, word);
    ended({.pid = who.pid,
           .lost = !recovered,
           .recovered = recovered,
           .status = recovered ? wait_status(word) : wait_status(),
           .noticed_by = who.said_by});
    return;
  }
  registry_.still_there(who.pid, owner_);
  still_there(who);
  if (error == EINTR) hint(who.pid, who.said_by);
  // Anything else leaves the watch as it is. 0: it lives, or a tracer holds it. A ptrace stop comes through
  // without WUNTRACED if a thread of ours traces it (Go #60321): no end, and nothing that was asked for.
  if (result == who.pid && wants_changes && (status.stopped() || status.continued())) {
    ready_.add({.pid = who.pid, .status = status}, watched->changes);
  }
}

void pass::look_at_kept(candidate who) noexcept {
  siginfo_t info{};
  ::rusage usage{};
  int result = sys::waitid_with_usage(who.pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL, &usage);
  if (result != 0 && errno == ECHILD) {
    return ended({.pid = who.pid, .lost = true, .noticed_by = who.said_by}, true);
  }
  if (result != 0 || info.si_pid != who.pid) return still_there(who);
  int word = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status;
  if (info.si_code == CLD_DUMPED) word |= WCOREFLAG;
  ended({.pid = who.pid,
         .status = wait_status(word),
         .usage = resource_usage::from(usage),
         .noticed_by = who.said_by},
        true);
}

void pass::still_there(candidate who) noexcept {
  // An index names a child once: from here on somebody else has to look for it.
  if (who.said_by == notice::backend) index_.doubt(who.pid);
}

void pass::ended(child_exit exit, bool number_is_kept) noexcept {
  // From here on the number is free: a younger child may get it before this one is told.
  if (!number_is_kept) registry_.collected(exit.pid);
  index_.disarm(exit.pid);
  wants_changes_.remove(exit.pid);
  watch watched = table_.take(exit.pid);
  exit.timed_out = watched.timed_out;
  if (endings_ != nullptr) endings_->collected(exit.pid, watched);
  ++(exit.lost ? stats_.lost : exit.recovered ? stats_.recovered : stats_.reaped);
  if (exit.noticed_by == notice::poller) {
    poller_found_ = true;
    if (!exit.lost) ++found_now_;  // the SIGCHLD of a stolen exit was not missed: it led to nobody
  }
  if (!watched.forgotten) ready_.add(exit, std::move(watched));
}

std::uint64_t pass::other_notices() const noexcept { return stats_.wakeups_by_sigchld + stats_.wakeups_by_backend; }

void pass::settle_missed() noexcept {
  if (found_now_ != 0 && other_notices() == notices_then_) {
    stats_.missed += found_now_;
    unheard_ = true;
  }
  found_now_ = 0;
}

bool pass::poller_found() noexcept { return std::exchange(poller_found_, false); }

}  // namespace uvreap
