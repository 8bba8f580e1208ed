// How an exit gets from the kernel to its callback.
//
//     wake                                        collect                     deliver
//     sigchld  uv_signal_t -+
//     backend  uv_poll_t   -+-> a sweep is due -> sweep: look, wait4 -> ready -> callbacks, one poll later
//     poller   uv_timer_t  -+   check and idle    under a budget
//
// One record. Everything about a child is in one object (child/child.hpp), made before the child is, so
// nothing that can fail comes after the fork. It is owned by one table at a time, living or collected;
// queues, the backend, agendas and terminations only link to it, and a link goes with the record. That is
// what lets a callback do anything.
//
// Birth, not number. A number is whoever has it now: when other code waits for a child of ours, the kernel
// may give its number to a younger one at once. So before wait4 and before every signal the process is asked
// about by what does not change, its birth (os/birth.hpp). Zombie and birth equal: ours, collect. Another
// birth, or ECHILD: other code took ours, which is delivered as lost (or recovered), and the younger one is
// left alone. Ended, but no status yet (a tracer holds the zombie): off the backend, which would name it for
// ever, to the poller. Between threads the process-wide claims (os/claims.hpp) say who watches which birth;
// who finds a foreign claim has lost its child.
//
// A wake-up never reaps. It marks a sweep as due, and however many come in one turn, one sweep follows.
// Whoever marks one due starts two handles: with the check alone, a sweep that is marked from a timer,
// prepare, check or close callback, or before uv_run, sleeps until the next event; the idle handle keeps the
// poll from sleeping. It runs on every turn while it is started (microsoft/CCF #1626), so both stop with the
// sweep that leaves nothing.
//
// Delivery is one poll after the collection: a sweep first delivers what the sweep before it collected. So
// what the child wrote before it ended was readable in between, and has gone to its callback. Tried and
// rejected: delivering in the same turn where the exit was itself an event of this poll. It saves 2 system
// calls and 1.5 us, but the batch of events is frozen when epoll_wait returns, and with a socket accepted in
// that batch up to 194 of 200 exits overtook their output; one poll later 0.
//
// Bounds. A sweep spends at most options.budget units: one is a look, a delivery or a signal. Its sources
// (hints, what the backend names, the poller's round, changes, orphans, deadlines, terminations, posted
// watches) take turns of 8 units, and whose turn it is stays over the sweeps; so no source waits for another
// to run dry, whatever comes in meanwhile. What is left is taken in the next turn, and the loop serves
// everything else in between.
//
// In a forked copy nothing of this runs: handles and descriptors stay as they are, since the copied loop
// still points to them, and a callback there only stops its handle. after_fork() closes them; the destructor
// does not.
#include "reaper/core.hpp"

#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "uvreap/process.hpp"

namespace uvreap {
namespace {

[[noreturn]] void run_in_child(std::function<int()>& child_main) noexcept { ::_exit(child_main() & 0xff); }

}  // namespace

core::core(claims& all, const options& options, std::shared_ptr<inbox> posted)
    : claims_(all),
      generation_(all.generation()),
      mark_(all.new_mark()),
      options_(options),
      terminations_(all),
      deadlines_(terminations_),
      backend_(living_, all),
      poller_(options_.poll_every),
      inbox_(std::move(posted)) {}

// ---- open and close

int core::open(uv_loop_t& loop, const std::shared_ptr<close_barrier>& barrier) noexcept {
  thread_.bind();
  barrier_ = barrier;
  reading_ = {.loop = &loop, .barrier = barrier};
  reading_.on_end = [this](pid_t pid, std::uint64_t serial) { output_ended(pid, serial); };
  if (int error = backend_.open(options_.backend); error != 0) return error;
  if (int error = open_handles(loop); error != 0) return error;
  if (int error = poll_backend(backend_.polled()); error != 0) return error;
  if (options_.children == scope::any()) {
    orphans_.reset(new (std::nothrow)
                       orphans(claims_, mark_, living_, collected_, ready_, thread_, options_, stats_));
    if (orphans_ == nullptr) return UV_ENOMEM;
    if (int error = orphans_->open(loop); error != 0) return error;
    has_brought(from_orphans);  // zombies that were there before us
    settle();
  }
  bool listen = options_.sigchld == sigchld_use::always ||
                (options_.sigchld == sigchld_use::when_needed && sigchld::is_ignored());
  return listen ? sigchld_.listen() : 0;
}

int core::open_handles(uv_loop_t& loop) noexcept {
  auto init_check = [&](uv_check_t* handle) { return uv_check_init(&loop, handle); };
  auto init_idle = [&](uv_idle_t* handle) { return uv_idle_init(&loop, handle); };
  auto is_posted = [this] { has_brought(from_posted); };
  auto is_due = [this] { on_time(); };
  auto ticks = [this] { on_tick(); };
  auto is_signalled = [this] { on_sigchld(); };
  if (int error = check_.open(init_check, this, barrier_); error != 0) return error;
  if (int error = idle_.open(init_idle, this, barrier_); error != 0) return error;
  if (int error = poller_.open(loop, ticks, barrier_); error != 0) return error;
  if (int error = inbox_->open(loop, is_posted, barrier_); error != 0) return error;
  if (int error = sigchld_.open(loop, is_signalled, barrier_); error != 0) return error;
  return alarm_.open(loop, is_due, barrier_);
}

int core::poll_backend(int descriptor) noexcept {
  if (descriptor < 0) return 0;
  auto init = [&](uv_poll_t* handle) { return uv_poll_init(reading_.loop, handle, descriptor); };
  if (int error = backend_poll_.open(init, this, barrier_); error != 0) return error;
  return uv_poll_start(backend_poll_.get(), UV_READABLE, call_owner<&core::on_backend, uv_poll_t, int, int>);
}

void core::close(bool abandon) noexcept {
  is_closed_ = true;
  bool in_copy = is_copy();
  barrier_->is_abandoned = abandon;
  auto give_up = [this](child& one) {
    claims_.drop(one.pid(), one.claim);
    one.id.let_go(claims_);
  };
  if (!in_copy) living_.each(give_up);
  terminations_.close(in_copy);
  if (orphans_ != nullptr) orphans_->close(in_copy);
  if (abandon) backend_.leave_polled_open();
  sigchld_.close();
  backend_poll_.close();
  poller_.close();
  alarm_.close();
  check_.close();
  idle_.close();
  inbox_->close(in_copy);
  living_.clear();
  collected_.clear();
  if (spawns_ != nullptr) in_copy ? spawns_->abandon() : give_up_spawns();
  barrier_.reset();
  reading_.barrier.reset();
}

void core::discard(std::unique_ptr<child> one) noexcept {
  if (!one->unclaimed || is_closed_) return;
  orphans_->recycle(std::move(one));
  look_for_work(from_orphans);  // which may have waited for a record
}

// ---- wake

void core::wake(notice who) noexcept {
  if (who == notice::backend) return on_backend();
  if (who == notice::sigchld) ++stats_.wakeups_by_sigchld, unheard_ = false;
  if (who == notice::poller) {
    ++stats_.wakeups_by_poller;
    if (found_now_ == 0) notices_then_ = other_notices();
  }
  // A sole parent's wait4(-1) finds whatever SIGCHLD is about.
  bool has_names = (who != notice::sigchld || !takes_any()) && backend_.wake(who);
  if (has_names) has_more_names_ = true, with_work_ |= from_names;
  changes_.ask(who);
  if (orphans_ != nullptr) orphans_->wake(who);
  look_for_work(from_round | from_changes | from_orphans);
}

void core::on_time() noexcept {
  look_for_work(from_orphans | from_deadlines | from_terminations);
  sweep_or_rest();
}

void core::on_sigchld() noexcept {
  thread_.bind();
  wake(notice::sigchld);
  // No work: the backend names all who end, no stop is awaited, and any() looked a moment ago.
  sweep_or_rest();
}

void core::on_backend() noexcept {
  ++stats_.wakeups_by_backend;
  has_more_names_ = backend_.wake(notice::backend);
  with_work_ |= from_names;
  sweep_next_turn();
}

void core::on_tick() noexcept {
  thread_.bind();
  sigchld_.repair();
  poller_.ticked(backend_.unnamed() == 0 && !unheard_ && sigchld_.is_heard());
  backend_.try_again([this](int descriptor) { return poll_backend(descriptor); });
  wake(notice::poller);
  sweep_or_rest();
}

void core::output_ended(pid_t pid, std::uint64_t serial) noexcept {
  thread_.bind();
  child* one = collected_.find(pid, serial);
  if (one == nullptr || !one->is_deliverable()) return;
  ready_.push_back(*one);
  sweep_next_turn();
}

void core::hint(child& one, notice who) noexcept {
  name(one, who, hints_);
  has_brought(from_hints);
}

void core::sweep_next_turn() noexcept {
  if (is_sweep_due_) return;
  uv_check_t* check = check_.get_open();
  uv_idle_t* idle = idle_.get_open();
  if (check == nullptr || idle == nullptr) return;
  is_sweep_due_ = true;
  uv_check_start(check, call_owner<&core::on_check, uv_check_t>);
  uv_idle_start(idle, only_run<uv_idle_t>);
}

void core::sweep_or_rest() noexcept { with_work_ != 0 ? sweep_next_turn() : set_alarm(); }

void core::on_check() noexcept {
  thread_.bind();
  auto hold = shared_from_this();
  bool is_work_left = sweep();
  if (is_closed_) return;
  if (std::exchange(poller_found_, false)) poller_.looked(true);
  bool has_reaped = std::exchange(reaped_then_, stats_.reaped) != stats_.reaped;
  if (has_reaped && !poller_.is_stirred) poller_.stir();
  if (is_work_left) return set_alarm();
  is_sweep_due_ = false;
  uv_check_stop(check_.get());
  uv_idle_stop(idle_.get());
  settle();
}

void core::set_alarm() noexcept {
  std::uint64_t next_ms = std::min(deadlines_.next_ms, terminations_.next_ms);
  if (orphans_ != nullptr) next_ms = std::min(next_ms, orphans_->next_ms());
  if (next_ms != alarm_.at_ms) alarm_.set(next_ms);
}

void core::settle() noexcept {
  if (is_closed_) return;  // by the destructor of a capture, a moment ago
  bool holds = holding_ != 0 || !terminations_.empty();
  poller_.stand_by(holds || living_.size() != 0 || has_deliveries() || orphans_ != nullptr, holds);
  set_alarm();
  if (options_.sigchld != sigchld_use::when_needed) return;
  // A failure (no descriptor for libuv's signal pipe) leaves it to the poller, and to the next time.
  bool needs_sigchld = backend_.unnamed() != 0 || changes_.size() != 0 || orphans_ != nullptr;
  if (needs_sigchld) (void)sigchld_.listen();
}

// ---- watch

void core::hold(child& one) noexcept {
  if (one.holds_the_loop || !one.ref || !one.tell) return;
  one.holds_the_loop = true;
  ++holding_;
}

void core::let_go(child& one) noexcept {
  if (std::exchange(one.holds_the_loop, false)) --holding_;
}

// Which process it is. What pidfd_open said: there may be a birth without a pidfd.
int core::identify(child& one, pid_t pid) noexcept {
  one.id = identity(pid);
  int pidfd_error = one.id.open();
  one.claim = claims::word_of(mark_, one.id.born().tag());
  return pidfd_error;
}

bool core::is_still_there(const child& one) const noexcept {
  return is_claimed_here(one) && one.id.look() != child_state::none;
}

child& core::bind(std::unique_ptr<child> made, int pidfd_error) noexcept {
  child& one = living_.add(std::move(made));
  hold(one);
  deadlines_.watched(one);
  if (orphans_ != nullptr) orphans_->claimed(one.pid());
  if (one.wants_changes()) changes_.add(one);
  poller_.stir();
  backend_.arm(one, pidfd_error);
  return one;
}

std::unique_ptr<child> core::unbind(child& one) noexcept {
  backend_.cancel(one);
  changes_.remove(one);
  one.leave<look_tag>();
  one.leave<ready_tag>();
  if (one.due != nullptr) one.due->cancel();
  terminations_.cancel(one);
  claims_.drop(one.pid(), one.claim);
  one.id.let_go(claims_);
  let_go(one);
  return living_.remove(one);
}

int core::watch(pid_t pid, std::unique_ptr<child>& wanted, const birth& expected) noexcept {
  if (pid <= 0) return UV_EINVAL;
  if (!claims::can_be_a_child(pid)) return UV_ESRCH;
  child* there = living_.find(pid);
  if (there != nullptr && !is_still_there(*there)) {
    gives_way(*there);
    there = nullptr;
  }
  if (there != nullptr && (there->is_reserved() || there->detached)) {
    take_back(*there, *wanted);
    return 0;
  }
  // An exit that waits for its callback is known to nobody else, whoever has the number now. A pidfd names a
  // child that has not been waited for.
  bool is_by_number = expected.what == birth::kind::unknown;
  if (is_by_number && wanted->tell && deliver_reserved(pid, *wanted)) {
    settle();
    return 0;
  }
  if (there != nullptr) return UV_EEXIST;
  living_.make_room();
  int pidfd_error = identify(*wanted, pid);
  bool is_expected = !expected.differs_from(wanted->id.born());
  if (!is_expected || !claims_.claim(pid, wanted->claim)) {
    wanted->id.let_go(claims_);
    return is_expected ? UV_EEXIST : UV_ESRCH;
  }
  child& one = bind(std::move(wanted), pidfd_error);
  bool is_known = true;
  if (look_first(one) == child_state::none) {
    wanted = unbind(one);
    is_known = deliver_reserved(pid, *wanted);
  }
  settle();
  return is_known ? 0 : UV_ESRCH;
}

// Armed first, looked at second: however the child ends, one of the two sees it.
child_state core::look_first(child& one) noexcept {
  child_state state = one.id.look();
  backend_.settle(one);
  if (state == child_state::ended) {
    // What its backend has to say of it would stand before what is said of children that were there earlier.
    backend_.disarm(one);
    hint(one, notice::already);
  }
  return state;
}

// Its number is a younger child's by now.
void core::gives_way(child& older) noexcept {
  older.noticed_by = notice::already;
  gone(older);
  sweep_next_turn();
}

void core::take_back(child& there, child& wanted) noexcept {
  there.take_over(wanted);
  if (there.wants_changes()) {
    changes_.add(there);
  } else {
    changes_.remove(there);
  }
  deadlines_.watched(there);
  hold(there);
  settle();
}

// It had ended while it was reserved, and its callback comes now.
bool core::deliver_reserved(pid_t pid, child& wanted) noexcept {
  child* there = collected_.find_reserved(pid);
  if (there == nullptr) return false;
  if (wanted.is_reserved()) return true;  // again: there is no callback yet
  there->take_over(wanted);
  hold(*there);
  if (there->is_deliverable()) ready_.push_back(*there);
  sweep_next_turn();
  return true;
}

child& core::bind_newborn(std::unique_ptr<child> made, int pidfd_error) noexcept {
  // Its number was another child's that is still watched here: other code took that one's status, or the
  // number would not be free.
  if (child* there = living_.find(made->pid())) gives_way(*there);
  claims_.claim_newborn(made->pid(), made->claim);
  return bind(std::move(made), pidfd_error);
}

// make(&pid) makes the child, or fails and there is none; it may throw std::bad_alloc before it did.
template <class Make>
int core::make_child(pid_t* out, std::unique_ptr<child>& wanted, Make make) {
  // Everything that can fail comes before the child: there is never one that cannot be watched.
  living_.make_room();
  pid_t pid = 0;
  if (int error = make(&pid); error != 0) return error;
  *out = pid;
  int pidfd_error = identify(*wanted, pid);
  backend_.settle(bind_newborn(std::move(wanted), pidfd_error));
  settle();
  return 0;
}

int core::fork(pid_t* out, std::function<int()>& child_main, std::unique_ptr<child>& wanted) noexcept {
  return make_child(out, wanted, [&](pid_t* pid) {
    int error = uvreap::fork(pid);
    if (error == 0 && *pid == 0) run_in_child(child_main);
    return error;
  });
}

int core::spawn(pid_t* out, const command& what, std::unique_ptr<child>& wanted) {
  if (!captured_output::is_wanted_by(what)) {
    return make_child(out, wanted, [&](pid_t* pid) { return uvreap::spawn(pid, what); });
  }
  wanted->output = std::make_unique<captured_output>(reading_);
  captured_output& output = *wanted->output;
  if (int error = output.open(what); error != 0) return error;
  command with_pipes = output.with_pipes(what);
  return make_child(out, wanted, [&](pid_t* pid) {
    int error = uvreap::spawn(pid, with_pipes);
    if (error == 0) output.begin();
    return error;
  });
}

// ---- spawn_async

int core::open_spawns() noexcept try {
  if (spawns_ != nullptr) return 0;
  if (!claims_.claim_spawning()) return UV_ENOTSUP;
  spawner* by = spawner::of_this_process();
  if (by == nullptr) return UV_ENOMEM;
  if (int error = by->start(); error != 0) return error;
  auto fresh = std::make_shared<spawns>(*by);
  auto is_made = [this] { sweep_next_turn(); };
  if (int error = fresh->open(*reading_.loop, is_made, barrier_); error != 0) {
    (void)fresh->close();
    return error;
  }
  spawns_ = std::move(fresh);
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int core::spawn_async(const command& what, std::unique_ptr<child>& wanted, started_callback started) {
  if (int error = open_spawns(); error != 0) return error;
  if (spawns_->size() >= static_cast<std::size_t>(options_.spawn_queue)) return UV_EAGAIN;
  bool captures = captured_output::is_wanted_by(what);
  if (captures) {
    wanted->output = std::make_unique<captured_output>(reading_);
    if (int error = wanted->output->open(what); error != 0) return error;
  }
  command copy = captures ? wanted->output->with_pipes(what) : what;
  if (!prepared_command::is_sound(copy)) return UV_EINVAL;
  auto one = std::make_unique<order>(std::move(copy), spawns_);
  auto from = std::make_unique<asked>();
  from->record = std::move(wanted);
  from->started = std::move(started);
  child& record = *from->record;
  if (int error = spawns_->ask(one, from); error != 0) return error;
  if (record.ref) record.holds_the_loop = true, ++holding_;
  settle();
  return 0;
}

int core::cancel_spawn(std::uint64_t serial) noexcept {
  auto cancelled = spawns_ != nullptr ? spawns_->cancel(serial) : nullptr;
  if (cancelled == nullptr) return UV_ESRCH;
  let_go(*cancelled->record);
  settle();
  return 0;
}

// From here on the child is watched, so the callback may do with it what it likes; its exit is a later
// sweep's.
void core::deliver_started(spawns::outcome one) noexcept {
  std::unique_ptr<child>& record = one.from->record;
  pid_t pid = one.made.pid;
  if (one.error == 0) {
    living_.make_room();
    if (record->output != nullptr) record->output->begin();
    record->id = std::move(one.made);
    record->claim = claims::word_of(mark_, record->id.born().tag());
    child& made = bind_newborn(std::move(record), one.pidfd_error);
    if (made.is_reserved()) let_go(made);
    // No backend tells of an end before it was armed, and SIGCHLD's sweep may be over.
    if (look_first(made) == child_state::none) hint(made, notice::already);
  } else {
    let_go(*record);
  }
  settle();
  one.from->started(one.error, pid);
}

// Whose child is there is handed over, as a child is that has been watched; the others are cancelled.
void core::give_up_spawns() noexcept {
  auto left = std::move(spawns_);
  std::unique_ptr<asked> begun = left->close();
  if (begun != nullptr) begun->started(UV_ECANCELED, 0);
  while (left->has_work()) {
    spawns::outcome one = left->take();
    if (one.error == 0 && one.from->record->output != nullptr) one.from->record->output->begin();
    one.from->started(one.error, one.made.pid);
  }
}

// ---- the other calls

int core::release(pid_t pid) noexcept {
  if (pid <= 0 || options_.sole_parent) return UV_EINVAL;
  child* there = living_.find(pid);
  if (there == nullptr) return collected_.find(pid) != nullptr ? UV_EALREADY : UV_ESRCH;
  // First, as it can fail: the child is not to be taken as unclaimed. If it is gone, so be it.
  int error = orphans_ != nullptr ? orphans_->exclude(pid) : 0;
  if (error != 0 && error != UV_ESRCH) return error;
  std::unique_ptr<child> gone = unbind(*there);  // destroyed when all is in order again: captures may call in
  settle();
  return 0;
}

int core::detach(pid_t pid, std::uint64_t serial) noexcept {
  if (pid <= 0) return UV_EINVAL;
  if (child* there = living_.find(pid, serial)) {
    callback tell = std::move(there->tell);  // these two are destroyed when all is in order again
    auto on_change = std::move(there->on_change);
    there->tell = nullptr;
    there->detached = true;
    there->change = {};
    there->leave<ready_tag>();
    there->due.reset();
    changes_.remove(*there);
    if (there->output != nullptr) there->output->discard();
    let_go(*there);
    settle();
    return 0;
  }
  child* collected = collected_.find(pid, serial);
  if (collected == nullptr) return UV_ESRCH;
  std::unique_ptr<child> dropped = collected_.remove(*collected);
  dropped->leave<ready_tag>();
  let_go(*dropped);
  settle();
  discard(std::move(dropped));
  return 0;
}

int core::exclude(pid_t pid) noexcept {
  if (pid <= 0 || orphans_ == nullptr || options_.sole_parent) return UV_EINVAL;
  return living_.find(pid) != nullptr ? UV_EEXIST : orphans_->exclude(pid);
}

int core::kill(pid_t pid, int signum) noexcept {
  if (pid <= 0) return UV_EINVAL;
  child* there = living_.find(pid);
  if (there == nullptr) return UV_ESRCH;
  int error = is_claimed_here(*there) ? there->id.signal(signum) : UV_ESRCH;
  if (error == UV_ESRCH) hint(*there, notice::poller);  // ours, and gone without us: it is delivered as lost
  return error;
}

int core::terminate(pid_t pid, std::chrono::milliseconds grace) noexcept {
  if (pid <= 0 || grace.count() < 0) return UV_EINVAL;
  child* there = living_.find(pid);
  if (there == nullptr) return UV_ESRCH;
  int error = is_claimed_here(*there) ? terminations_.begin(*there, static_cast<std::uint64_t>(grace.count()))
                                      : UV_ESRCH;
  if (error == UV_ESRCH) hint(*there, notice::poller);
  settle();
  return error;
}

statistics core::stats() const noexcept {
  statistics now = stats_;
  now.watched = living_.size();
  backend_.describe(now);
  now.unclaimed_one_by_one = orphans_ != nullptr && !orphans_->lists();
  now.sigchld = sigchld_.health(unheard_);
  now.held_pidfds = claims_.held();
  living_.each([&](const child& one) {
    if (one.is_reserved()) ++now.reserved;
    if (!one.id.is_held() && one.id.born().what == birth::kind::unknown) ++now.by_number;
  });
  collected_.each([&](const child& one) {
    if (one.is_reserved() && !one.unclaimed) ++now.reserved;
  });
  return now;
}

}  // namespace uvreap
