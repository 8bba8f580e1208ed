#include "schedule.hpp"

#include <signal.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>

namespace test {

using uvreap::notice;

namespace {

// Each of them with peek, and where pidfds are, one in two with these as the backend.
known_by known_in(unsigned seed) {
  constexpr known_by all[] = {known_by::start_time, known_by::held_pidfd, known_by::inode, known_by::number};
  return all[seed % 4];
}

uvreap::options options_in(unsigned seed) {
  unsigned largest = seed % 5 == 0 ? 2 : 40;
  auto options = with_budget(static_cast<int>(1 + seed / 5 % largest));
  if (known_in(seed) == known_by::held_pidfd && seed % 8 < 4) options.backend = uvreap::backend_kind::pidfd;
  return options;
}

}  // namespace

schedule::schedule(unsigned seed)
    : random_(seed),
      foreign_chance_(seed % 3 == 0 ? 1'000'000
                                    : 4),  // a foreign zombie hides the peek's way: some runs have none
      fault_chance_(seed % 7 == 0 ? 3 : 40),
      how_(known_in(seed)),
      rig_(options_in(seed), how_) {
  rig_.kernel.on_taken = [this](pid_t pid, int word) { on_taken(pid, word); };
  rig_.kernel.tells_exit_words = seed % 16 == 1;
}

schedule::tally schedule::counts() const {
  tally all = counts_;
  all.cut_sweeps = static_cast<int>(rig_.stats().budget_spent_turns);
  return all;
}

schedule::tally& schedule::tally::operator+=(const tally& other) {
  delivered += other.delivered, lost += other.lost, recovered += other.recovered, changes += other.changes;
  released += other.released, detached += other.detached, reserved += other.reserved;
  signalled += other.signalled, reused_numbers += other.reused_numbers;
  reused_under_a_watch += other.reused_under_a_watch, cut_sweeps += other.cut_sweeps;
  return *this;
}

void schedule::must(bool held, const char* what, pid_t pid) {
  if (held || !failure_.empty()) return;
  failure_ = "step " + std::to_string(steps_) + ", sweep " + std::to_string(sweeps_) + ", child " +
             std::to_string(pid) + ": " + what;
}

template <class Fits>
schedule::child* schedule::somebody(Fits fits) {
  std::size_t window = std::min<std::size_t>(children_.size(), 100);
  if (window == 0) return nullptr;
  std::size_t first = children_.size() - window;
  std::size_t start = random_() % window;
  for (std::size_t i = 0; i < window; ++i) {
    child& one = children_[first + (start + i) % window];
    if (fits(one)) return &one;
  }
  return nullptr;
}

// ---- what happens

void schedule::step() {
  ++steps_;
  switch (below(24)) {
    case 0:
    case 1:
    case 2:
      return birth();
    case 3:
    case 4:
    case 5:
      return exit_of_somebody();
    case 6:
      return theft();
    case 7:
    case 8:
      return stop_or_continue();
    case 9:
      return tracer_comes_or_goes();
    case 10:
      return fault_comes();
    case 11:
    case 12:
    case 13:
      return watch_somebody();
    case 14:
      return one_in(3) ? watch_the_gone() : release_somebody();
    case 15:
      return detach_somebody();
    case 16:
      return rig_.wake(notice::sigchld);
    case 17:
      return rig_.wake(notice::poller);
    case 18:
      return one_in(3) ? check_all_found(one_in(2)) : void();
    case 19:
      return kill_somebody();
    case 20:
      return rig_.wake(notice::backend);
    default:
      return one_sweep();
  }
}

// A number that is free again. What tells births tells it from the older one, watched still or not; without
// them a stolen child's may not be used before that is known. And of a reserved one that ended watch() speaks
// by number.
bool schedule::may_be_reused(const child& one) const {
  if (one.is_there() || rig_.kernel.exists(one.pid)) return false;
  if (how_ == known_by::number && one.now == child::stolen) return false;
  return std::none_of(children_.begin(), children_.end(), [&](const child& other) {
    if (other.pid != one.pid) return false;
    if (how_ == known_by::number && other.now == child::stolen) return true;
    return other.held != nullptr && other.held->now == note::reserved;
  });
}

// Then a call by number would speak of that one.
bool schedule::has_held_namesake(const child& one) const {
  return std::any_of(children_.begin(), children_.end(), [&one](const child& any) {
    return &any != &one && any.pid == one.pid && any.held != nullptr;
  });
}

void schedule::birth() {
  int alive = static_cast<int>(std::count_if(children_.begin(), children_.end(),
                                             [](const child& one) { return one.now == child::living; }));
  if (alive > 60) return;
  child* before = one_in(2) ? somebody([this](const child& one) { return may_be_reused(one); }) : nullptr;
  children_.emplace_back();
  child& born = children_.back();
  if (before != nullptr) {
    ++counts_.reused_numbers;
    if (before->held != nullptr && before->now == child::stolen) ++counts_.reused_under_a_watch;
    born.pid = before->pid;
    rig_.kernel.born_as(born.pid);
  } else {
    born.pid = rig_.kernel.born();
  }
  if (one_in(12)) rig_.kernel.silent(born.pid), born.hidden = true;
  if (!one_in(foreign_chance_) && one_in(2)) watch_child(born, one_in(6));
}

void schedule::exit_of_somebody() {
  child* one = somebody([](const child& any) { return any.now == child::living; });
  if (one == nullptr) return;
  one->now = child::zombie;
  one->word = one_in(3) ? 1 + below(31) : exited_with(below(256));
  rig_.kernel.ends(one->pid, one->word);
}

void schedule::theft() {
  child* one = somebody([](const child& any) { return any.now == child::zombie; });
  if (one == nullptr) return;
  must(rig_.kernel.stolen(one->pid), "nobody took it, and it is gone", one->pid);
  one->now = child::stolen;
  if (one->held == nullptr || one->held->now != note::detached) return;
  one->held->now = note::over;  // it is lost in silence
  one->held = nullptr;
}

void schedule::stop_or_continue() {
  child* one = somebody([](const child& any) { return any.now == child::living; });
  if (one == nullptr) return;
  one_in(2) ? rig_.kernel.stops(one->pid, SIGSTOP) : rig_.kernel.continues(one->pid);
}

void schedule::tracer_comes_or_goes() {
  child* one = somebody([](const child& any) { return any.is_there(); });
  if (one == nullptr) return;
  bool comes = one_in(3);
  rig_.kernel.traced(one->pid, comes);
  if (comes) one->hidden = true;  // from now on its end may come without a signal that finds it
}

void schedule::fault_comes() {
  if (!one_in(fault_chance_)) return;
  faulty_ = true;
  auto from = std::uint64_t{1} + static_cast<std::uint64_t>(below(4));
  auto times = std::uint64_t{1} + static_cast<std::uint64_t>(below(40));
  switch (below(5)) {
    case 0:
      return rig_.kernel.plan({.where = fake_call::wait4, .error = EINTR, .from = from, .times = times});
    case 1:
      return rig_.kernel.plan({.where = fake_call::wait4, .error = EINVAL, .from = from});
    case 2:
      return rig_.kernel.plan({.where = fake_call::wait4, .result = 0, .from = from});
    case 3:
      return rig_.kernel.plan(
          {.where = fake_call::wait4, .result = 3'999'999, .word = stopped_by(SIGTRAP), .from = from});
    case 4:
      // EINVAL of the peek alone: of a look it says that the kernel cannot wait by pidfd.
      rig_.kernel.plan({.where = fake_call::waitid, .error = EINTR, .from = from});
      rig_.kernel.plan({.where = fake_call::waitid, .error = EINVAL, .pid = -1, .from = from});
  }
}

void schedule::watch_somebody() {
  child* one = somebody([](const child& any) {
    bool kept = any.held != nullptr && any.held->now == note::reserved;
    bool takes = any.held == nullptr || any.held->now != note::watching;
    return takes && (any.is_there() || (kept && any.now == child::taken));
  });
  if (one != nullptr) watch_child(*one, one->held == nullptr && one_in(6));
}

void schedule::watch_child(child& one, bool reserve) {
  if (faulty_) rig_.kernel.plan_nothing();  // a look that fails says ESRCH, and that is another test's
  notes_.push_back({.whose = &one,
                    .now = reserve ? note::reserved : note::watching,
                    .wants_changes = !reserve && one_in(3)});
  note& fresh = notes_.back();
  uvreap::watch_options wanted;
  if (fresh.wants_changes) {
    wanted.on_change = [this, &fresh](const uvreap::child_change& change) {
      on_change(fresh, change.status.raw());
    };
  }
  uvreap::callback tell = [this, &fresh](const uvreap::child_exit& exit) { on_delivered(fresh, exit); };
  if (reserve) tell = {};
  int result = rig_.watch_as(one.pid, wanted, tell);
  must(result == 0, "it cannot be watched", one.pid);
  if (one.held != nullptr) {
    if (one.now == child::taken) ++counts_.reserved;
    one.held->now = note::over;
  }
  one.held = &fresh;
}

void schedule::watch_the_gone() {
  child* one = somebody([this](const child& any) {
    return any.now == child::taken && any.held == nullptr && !rig_.kernel.exists(any.pid) &&
           !has_held_namesake(any);
  });
  if (one == nullptr) return;
  if (faulty_) rig_.kernel.plan_nothing();  // a look that fails cannot say that there is none
  must(rig_.watch_as(one->pid, {}, [](const auto&) {}) == UV_ESRCH, "watched, and there is none", one->pid);
}

void schedule::release_somebody() {
  child* one = somebody([this](const child& any) { return any.held != nullptr && !has_held_namesake(any); });
  if (one == nullptr) return;
  int result = rig_.release(one->pid);
  if (one->now == child::taken) return must(result == UV_EALREADY, "its status is taken", one->pid);
  must(result == 0 || (one->now == child::stolen && result == UV_EALREADY), "it cannot be released",
       one->pid);
  if (result != 0) return;
  ++counts_.released;
  one->held->now = note::over;
  one->held = nullptr;
}

void schedule::detach_somebody() {
  child* one = somebody([this](const child& any) {
    return any.held != nullptr && any.held->now != note::detached && !has_held_namesake(any);
  });
  if (one == nullptr) return;
  must(rig_.detach(one->pid) == 0, "it cannot be detached", one->pid);
  ++counts_.detached;
  one->held->changes.clear();
  one->held->now = one->is_there() ? note::detached : note::over;
  if (!one->is_there()) one->held = nullptr;
}

// Whoever else has its number now is not signalled.
void schedule::kill_somebody() {
  child* one = somebody([this](const child& any) { return any.held != nullptr && !has_held_namesake(any); });
  if (one == nullptr) return;
  if (faulty_) rig_.kernel.plan_nothing();  // what is not proven is not signalled
  auto before = rig_.kernel.signals().size();
  int result = rig_.core->kill(one->pid, SIGUSR1);
  auto sent = rig_.kernel.signals().size() - before;
  must(result == (one->is_there() ? 0 : UV_ESRCH), "kill() says what is not so", one->pid);
  must(sent == (one->is_there() ? 1u : 0u), "another was signalled, or none", one->pid);
  counts_.signalled += static_cast<int>(sent);
}

}  // namespace test
