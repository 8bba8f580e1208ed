// The sweep of core: deliver what the sweep before collected, then collect, under a budget.
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <utility>

#include "os/syscalls.hpp"
#include "reaper/core.hpp"

namespace uvreap {
namespace {

// What a source may spend before the next has its turn (deficit round robin). A page of a child list is as
// much.
constexpr int units_of_a_turn = 8;
constexpr std::size_t names_at_once = 8;

}  // namespace

bool core::sweep() noexcept {
  ++stats_.sweeps;
  if (found_now_ != 0) settle_missed();
  int delivered = deliver();
  if (spawns_ != nullptr) delivered += deliver_started_ones(options_.budget - delivered);
  if (is_closed_) return false;
  bool is_work_left = with_work_ != 0 && collect(delivered);
  bool is_one_made = spawns_ != nullptr && spawns_->has_work();
  return !is_closed_ &&
         (is_work_left || is_one_made || found_now_ != 0 || !ready_.empty() || !delivering_.empty());
}

// ---- deliver

int core::deliver() noexcept {
  // Only what is there now: what a callback adds waits for the next turn, or a chain of them would never end.
  ready_.move_to_end_of(delivering_);
  for (int delivered = 0; delivered < options_.budget; ++delivered) {
    child* next = delivering_.pop_front();
    if (next == nullptr) return delivered;
    deliver(*next);
  }
  return options_.budget;
}

int core::deliver_started_ones(int most) noexcept {
  int delivered = 0;
  while (!is_closed_ && spawns_->has_work() && delivered < most) {
    deliver_started(spawns_->take());
    ++delivered;
  }
  return delivered;
}

void core::deliver(child& one) noexcept {
  if (one.change) return deliver_change(one);
  // In no table any more: inside the callback its number may be a younger child's.
  std::unique_ptr<child> owned = collected_.remove(one);
  child_exit exit = owned->exit();
  if (owned->unclaimed) {
    options_.on_unclaimed(exit);
  } else {
    owned->tell(exit);
    owned->tell = nullptr;  // captures may call in, and go before its hold on the loop ends
    owned->on_change.reset();
  }
  let_go(*owned);
  discard(std::move(owned));
}

void core::deliver_change(child& one) noexcept {
  pid_t pid = one.pid();
  std::uint64_t serial = one.serial;
  child_change change{.pid = pid, .status = std::exchange(one.change, {})};
  auto tell = std::move(one.on_change);
  (*tell)(change);
  // It may have been released, detached or taken back in there, and then the callback is not wanted any more.
  child* living = living_.find(pid, serial);
  if (living != nullptr && !living->detached) {
    living->on_change = std::move(tell);
    hint(*living, notice::sigchld);  // the kernel may have kept the next one
  } else if (child* ended = collected_.find(pid, serial)) {
    ended->on_change = std::move(tell);
    if (ended->is_deliverable()) ready_.push_back(*ended);
  }
}

// ---- collect

bool core::has_work(unsigned from) const noexcept {
  switch (from) {
    case from_hints:
      return !hints_.empty();
    case from_names:
      return has_more_names_ || !names_.empty();
    case from_round:
      return !in_round_.empty() || backend_.has_round();
    case from_changes:
      return !in_changes_.empty() || changes_.is_under_way();
    case from_orphans:
      return orphans_ != nullptr && (takes_any() ? orphans_->may_have_ended() : orphans_->has_work());
    case from_deadlines:
      return deadlines_.is_due();
    case from_terminations:
      return terminations_.is_due();
    case from_posted:
      return inbox_->has_work();
    default:
      return false;
  }
}

void core::look_for_work(unsigned sources) noexcept {
  for (unsigned each = from_hints; each <= sources; each <<= 1) {
    if ((sources & each) != 0 && has_work(each)) with_work_ |= each;
  }
}

void core::has_brought(source from) noexcept {
  with_work_ |= from;
  sweep_next_turn();
}

// One step, of a source that has work; what it cost, or 0: enough of this for now.
int core::work(unsigned from) noexcept {
  switch (from) {
    case from_hints:
      return look_at_next(hints_);
    case from_names:
      if (names_.empty()) has_more_names_ = backend_.take_named(names_, names_at_once);
      if (look_at_next(names_) != 0) return 1;
      look_for_work(from_round);  // peek may have seen another's zombie
      return 0;
    case from_round:
      if (in_round_.empty()) backend_.take_round(in_round_, names_at_once);
      return look_at_next(in_round_);
    case from_changes:
      if (in_changes_.empty()) changes_.take(in_changes_, names_at_once);
      return look_at_next(in_changes_);
    case from_orphans:
      return takes_any() ? take_any() : orphans_->work();
    case from_deadlines:
      if (child* stolen = deadlines_.work()) hint(*stolen, notice::poller);
      return 1;
    case from_terminations:
      terminations_.work();
      return 1;
    case from_posted:
      take_posted();
      return 1;
    default:
      return 0;
  }
}

bool core::collect(int delivered) noexcept {
  budget budget(options_.budget - delivered, options_.budget_time, is_busy_);
  unsigned paused = 0;
  // Whose turn it is, and what is left of it, stays over the sweeps.
  while ((with_work_ & ~paused) != 0 && !is_closed_) {
    unsigned from = turn_of_;
    if (quantum_ <= 0 || (with_work_ & ~paused & from) == 0) {
      turn_of_ = from == from_posted ? from_hints : from << 1;
      quantum_ = units_of_a_turn;
    } else if (!has_work(from)) {
      with_work_ &= ~from;
    } else if (budget.is_spent) {
      ++stats_.budget_spent_turns;
      break;
    } else if (int units = work(from); units != 0) {
      quantum_ -= units;
      budget.spend(units);
    } else if (has_work(from)) {
      paused |= from;
    }
  }
  if (is_closed_) return false;  // by the destructor of a capture, a moment ago
  is_busy_ = budget.is_of_many_steps();
  stats_.longest_sweep = budget.longer_than(stats_.longest_sweep);
  return with_work_ != 0;
}

// Off the main thread orphans are not among the loop's own children. A zombie that a termination keeps would
// be taken with the others.
bool core::takes_any() const noexcept {
  return options_.sole_parent && thread_.is_main() && !terminations_.is_any_zombie_kept();
}

// options.sole_parent: nobody else waits, so the child that a record knows by this number is the one that
// ended, and births need not be compared.
int core::take_any() noexcept {
  int word = 0;
  ::rusage usage{};
  pid_t pid = sys::retried(sys::wait4, -1, &word, WNOHANG | __WNOTHREAD, &usage);
  if (pid < 0 && errno == EINTR) return 1;
  if (pid <= 0) return orphans_->none_has_ended(), 1;
  wait_status status(word);
  if (!status.ended()) return 1;  // a stop of a process that this one traces
  notice noticed_by = orphans_->noticed_by();
  if (child* one = living_.find(pid)) {
    if (!one->hook<look_tag>::is_linked()) one->noticed_by = noticed_by;
    claims_.drop(pid, one->claim);
    reaped(*one, status, usage);
  } else {
    orphans_->reaped(pid, status, usage, noticed_by);
  }
  return 1;
}

int core::look_at_next(look_queue& from) noexcept {
  child* next = from.pop_front();
  if (next == nullptr) return 0;
  child& one = *next;
  bool wants_changes = one.on_change != nullptr && one.change.raw() == -1;
  switch (one.id.look(wants_changes)) {
    case child_state::none:
      gone(one);
      break;
    case child_state::ended:
      if (one.ending != nullptr && one.ending->keeps_zombie()) {
        collect_kept(one);
      } else {
        collect(one, 0);
      }
      break;
    case child_state::changed:
      collect(one, WUNTRACED | WCONTINUED);
      break;
    case child_state::living:
    case child_state::unknown:
      // Claimed anew by whoever forked or watches a younger child: so ours was taken by other code.
      is_claimed_here(one) ? not_yet(one) : gone(one);
      break;
  }
  return 1;
}

// By number, and __WALL: a child of clone() with another exit signal is invisible without it. Only now, after
// the look has shown that it is this child which has ended or changed: the wrong one is taken only if a
// theft, a wrap of the pid space and the younger child's end all happen between the two calls.
// (waitid(P_PIDFD) with usage would have no such window, and is 1.2 us cheaper.)
void core::collect(child& one, int changes) noexcept {
  pid_t pid = one.id.pid;
  claims::word claim = one.claim;
  if (!claims_.begin_collecting(pid, claim)) return gone(one);
  int word = 0;
  ::rusage usage{};
  pid_t result = sys::retried(sys::wait4, pid, &word, WNOHANG | __WALL | changes, &usage);
  int error = result < 0 ? errno : 0;  // errno says nothing after a success
  bool has_ended = result == pid && (WIFEXITED(word) || WIFSIGNALED(word));
  claims_.end_collecting(pid, claim, has_ended || error == ECHILD);
  if (error == ECHILD) return gone(one);
  if (has_ended) return reaped(one, wait_status(word), usage);
  not_yet(one);
  if (error == EINTR) hint(one, one.noticed_by);
  if (result != pid || changes == 0 || (!WIFSTOPPED(word) && !WIFCONTINUED(word))) return;
  one.change = wait_status(word);
  ready_.push_back(one);
}

// Its zombie keeps the number of its group: looked at, and not taken.
void core::collect_kept(child& one) noexcept {
  if (!is_claimed_here(one)) return gone(one);
  siginfo_t info{};
  ::rusage usage{};
  int options = WEXITED | WNOHANG | WNOWAIT | __WALL;
  if (sys::waitid_with_usage(one.pid(), &info, options, &usage) != 0 || info.si_pid != one.pid())
    return not_yet(one);
  int word = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status;
  if (info.si_code == CLD_DUMPED) word |= WCOREFLAG;
  reaped(one, wait_status(word), usage);
}

void core::reaped(child& one, wait_status status, const ::rusage& usage) noexcept {
  one.status = status;
  one.usage = resource_usage::from(usage);
  ++stats_.reaped;
  end(one);
}

// Other code took its status. None is invented (libuv is silent here, asyncio says 255); the kernel may still
// have it.
void core::gone(child& one) noexcept {
  int word = 0;
  one.recovered = one.id.is_held() && sys::exit_word_of_pidfd(one.id.pidfd(), &word) == 0;
  one.lost = !one.recovered;
  if (one.recovered) one.status = wait_status(word);
  ++(one.lost ? stats_.lost : stats_.recovered);
  claims_.drop(one.pid(), one.claim);
  end(one);
}

void core::not_yet(child& one) noexcept {
  // A backend names a child once: from here on the poller has to look for it. A tracer holds the zombie.
  if (one.noticed_by != notice::backend && one.on != slot::none) return;
  backend_.suspect(one);
  poller_.stir();
}

void core::end(child& one) noexcept {
  // From here on the number is free: a younger child may get it before this one is delivered.
  if (one.on != slot::none) backend_.disarm(one);
  changes_.remove(one);
  one.hook<look_tag>::unlink();
  if (one.due != nullptr) one.due->cancel();
  if (one.ending != nullptr) terminations_.collected(one);
  one.id.let_go(claims_);
  if (one.noticed_by == notice::poller) {
    poller_found_ = true;
    // The SIGCHLD of a stolen exit was not missed: it led to no exit of ours.
    if (!one.lost && !one.recovered) ++found_now_;
  }
  std::unique_ptr<child> owned = living_.remove(one);
  if (one.detached) return;
  if (one.output != nullptr) one.output->collected(one.pid(), one.serial);
  collected_.add(std::move(owned));
  if (one.is_deliverable()) ready_.push_back(one);
}

void core::take_posted() noexcept {
  std::unique_ptr<child> one = inbox_->take();
  pid_t pid = one->pid();
  int error = watch(pid, one);
  if (error == 0 || one->is_reserved()) return;
  if (error == UV_ESRCH && collected_.has_watched(pid)) error = UV_EEXIST;  // nobody took it from us
  one->id = identity(pid);
  one->error = error;
  one->lost = error != UV_EEXIST && error != UV_ENOMEM;
  one->noticed_by = notice::already;
  if (one->lost) ++stats_.lost;
  hold(*one);
  ready_.push_back(collected_.add(std::move(one)));
}

// ---- what only the poller found

std::uint64_t core::other_notices() const noexcept {
  return stats_.wakeups_by_sigchld + stats_.wakeups_by_backend;
}

void core::settle_missed() noexcept {
  if (found_now_ != 0 && other_notices() == notices_then_) {
    stats_.missed += found_now_;
    unheard_ = true;
  }
  found_now_ = 0;
}

}  // namespace uvreap
