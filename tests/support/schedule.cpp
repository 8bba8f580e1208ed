#include "schedule.hpp"

#include <signal.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>

namespace test {

using uvreap::notice;

schedule::schedule(unsigned seed)
    : random_(seed),
      foreign_chance_(seed % 3 == 0 ? 1'000'000
                                    : 4),  // a foreign zombie hides the peek's way: some runs have none
      fault_chance_(seed % 4 == 0 ? 3 : 40),
      largest_budget_(seed % 5 == 0 ? 2 : 40) {
  rig_.kernel.on_taken = [this](pid_t pid, int word) { on_taken(pid, word); };
}

schedule::tally schedule::counts() const {
  tally all = counts_;
  all.cut_passes = static_cast<int>(rig_.stats.budget_spent_turns);
  return all;
}

schedule::tally& schedule::tally::operator+=(const tally& other) {
  told += other.told, lost += other.lost, changes += other.changes, released += other.released;
  forgotten += other.forgotten, kept += other.kept, reused_numbers += other.reused_numbers;
  cut_passes += other.cut_passes;
  return *this;
}

void schedule::must(bool held, const char* what, pid_t pid) {
  if (held || !failure_.empty()) return;
  failure_ = "step " + std::to_string(steps_) + ", pass " + std::to_string(passes_) + ", child " +
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
  switch (below(22)) {
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
      return forget_somebody();
    case 16:
      return rig_.pass.hear(notice::sigchld);
    case 17:
      return rig_.pass.hear(notice::poller);
    case 18:
      return one_in(3) ? check_all_found(one_in(2)) : void();
    default:
      return one_pass();
  }
}

void schedule::birth() {
  int alive = static_cast<int>(std::count_if(children_.begin(), children_.end(),
                                             [](const child& one) { return one.now == child::living; }));
  if (alive > 60) return;
  children_.emplace_back();
  child& born = children_.back();
  // A number that is free again, if the reaper has let go of it: of a stolen child that is not told yet it
  // cannot know whose the number is, and of a reserved one that ended watch() speaks by number.
  child* before = one_in(3) ? somebody([this](const child& one) {
    return (one.now == child::taken || one.now == child::stolen) && !rig_.kernel.exists(one.pid) &&
           std::none_of(notes_.begin(), notes_.end(), [&](const note& other) {
             return other.whose->pid == one.pid && other.now != note::over &&
                    (other.now != note::watching || other.whose->now == child::stolen);
           });
  })
                            : nullptr;
  if (before != nullptr) {
    ++counts_.reused_numbers;
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
}

void schedule::stop_or_continue() {
  child* one = somebody([](const child& any) { return any.now == child::living; });
  if (one == nullptr) return;
  one_in(2) ? rig_.kernel.stops(one->pid, SIGSTOP) : rig_.kernel.continues(one->pid);
}

void schedule::tracer_comes_or_goes() {
  child* one =
      somebody([](const child& any) { return any.now == child::living || any.now == child::zombie; });
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
      rig_.kernel.plan({.where = fake_call::waitid, .error = one_in(2) ? EINTR : EINVAL, .from = from});
  }
}

void schedule::watch_somebody() {
  child* one = somebody([](const child& any) {
    bool there = any.now == child::living || any.now == child::zombie;
    bool kept = any.held != nullptr && any.held->now == note::reserved;
    bool takes = any.held == nullptr || any.held->now != note::watching;
    return takes && (there || (kept && any.now == child::taken));
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
  uvreap::callback told = [this, &fresh](const uvreap::child_exit& exit) { on_told(fresh, exit); };
  if (reserve) told = {};
  int result = rig_.watch_as(one.pid, {wanted, told});
  must(result == 0, "it cannot be watched", one.pid);
  if (one.held != nullptr) {
    if (one.now == child::taken) ++counts_.kept;
    one.held->now = note::over;
  }
  one.held = &fresh;
}

void schedule::watch_the_gone() {
  child* one = somebody([this](const child& any) {
    return any.now == child::taken && any.held == nullptr && rig_.table.find(any.pid) == nullptr &&
           !rig_.kernel.exists(any.pid) && !rig_.ready.has(any.pid);
  });
  if (one == nullptr) return;
  if (faulty_) rig_.kernel.plan_nothing();  // a look that fails cannot say that there is none
  bool known = std::any_of(children_.begin(), children_.end(),
                           [one](const child& any) { return any.pid == one->pid && any.held != nullptr; });
  if (!known)
    must(rig_.watch_as(one->pid, {{}, [](const auto&) {}}) == UV_ESRCH, "watched, and there is none",
         one->pid);
}

void schedule::release_somebody() {
  child* one = somebody([this](const child& any) {
    return any.held != nullptr && (any.now != child::taken || !rig_.kernel.exists(any.pid));
  });
  if (one == nullptr) return;
  bool younger = std::any_of(children_.begin(), children_.end(), [one](const child& any) {
    return &any != one && any.pid == one->pid && any.held != nullptr;
  });
  if (younger) return;  // the call would speak of that one
  int result = rig_.release(one->pid);
  if (one->now == child::taken) {
    must(result == UV_EALREADY || one->held->now == note::forgotten, "its status is taken", one->pid);
    return;
  }
  must(result == 0 || one->now == child::stolen, "it cannot be released", one->pid);
  if (result != 0) return;
  ++counts_.released;
  one->held->now = note::over;
  one->held = nullptr;
}

void schedule::forget_somebody() {
  child* one = somebody([this](const child& any) {
    return any.held != nullptr && any.held->now != note::forgotten &&
           !(any.now == child::taken && rig_.kernel.exists(any.pid));
  });
  if (one == nullptr) return;
  bool younger = std::any_of(children_.begin(), children_.end(), [one](const child& any) {
    return &any != one && any.pid == one->pid && any.held != nullptr;
  });
  if (younger) return;
  bool in_the_table = rig_.table.find(one->pid) != nullptr;
  must(rig_.detach(one->pid) == 0, "it cannot be forgotten", one->pid);
  ++counts_.forgotten;
  one->held->now = in_the_table ? note::forgotten : note::over;
  one->held->changes.clear();
  if (!in_the_table) one->held = nullptr;
}

}  // namespace test
