// What the model makes of what the reaper does, and what must be so.
#include <algorithm>

#include "schedule.hpp"

namespace test {

using uvreap::notice;

// ---- what the reaper does

void schedule::one_sweep() {
  ++sweeps_;
  called_back_ = takings_ = 0;
  (void)rig_.sweep();
  must(called_back_ + takings_ <= rig_.options.budget, "more than the budget");
}

void schedule::on_taken(pid_t pid, int word) {
  ++takings_;
  auto found = std::find_if(children_.rbegin(), children_.rend(),
                            [pid](const child& one) { return one.pid == pid && one.is_there(); });
  if (found == children_.rend()) return must(false, "the status of nobody was taken", pid);
  must(found->held != nullptr, "nobody gave us this child, and we took its status", pid);
  if (found->held == nullptr) return;
  if (found->now == child::living) {
    must(found->held->now != note::detached && found->held->wants_changes, "nobody asked for this change",
         pid);
    found->held->changes.push_back(word);
    return;
  }
  found->now = child::taken;
  found->taken_in_sweep = sweeps_;
  if (found->held->now == note::detached) {
    found->held->now = note::over;
    found->held = nullptr;
  }
}

void schedule::on_delivered(note& about, const uvreap::child_exit& exit) {
  ++called_back_;
  child& one = *about.whose;
  must(about.now == note::watching, "delivered, though it was delivered, released or detached before",
       exit.pid);
  must(exit.pid == one.pid, "delivered with another number", exit.pid);
  must(about.changes.empty(), "delivered before its changes", exit.pid);
  if (exit.lost || exit.recovered) {
    must(one.now == child::stolen, "delivered as lost, and nobody stole it", exit.pid);
    must(exit.usage == uvreap::resource_usage{}, "a made-up usage", exit.pid);
    must(exit.status.raw() == (exit.recovered ? one.word : -1), "a made-up status", exit.pid);
    ++(exit.lost ? counts_.lost : counts_.recovered);
  } else {
    must(one.now == child::taken, "delivered, and its status was not taken", exit.pid);
    must(exit.status.raw() == one.word, "delivered with another status", exit.pid);
    must(one.taken_in_sweep < sweeps_, "delivered in the sweep that collected it", exit.pid);
    ++counts_.delivered;
  }
  about.now = note::over;
  if (one.held == &about) one.held = nullptr;
  if (quiet_ || !failure_.empty() || !one_in(3)) return;
  switch (below(6)) {  // a callback may do anything
    case 0:
      return birth();
    case 1:
      return watch_somebody();
    case 2:
      return release_somebody();
    case 3:
      return detach_somebody();
    case 4:
      return exit_of_somebody();
    case 5:
      return rig_.wake(notice::sigchld);
  }
}

void schedule::on_change(note& about, int word) {
  ++called_back_;
  ++counts_.changes;
  must(about.now == note::watching || about.now == note::reserved, "a change of a child that was given up",
       about.whose->pid);
  must(!about.changes.empty() && about.changes.front() == word, "a change that was not, or in another order",
       about.whose->pid);
  if (!about.changes.empty()) about.changes.pop_front();
}

// ---- what must be so

void schedule::settle() {
  // A look and a wait for each, three rounds and what was cut off, all deliveries, and the peek's pauses; by
  // ones.
  int bound = 200 + 16 * static_cast<int>(rig_.stats().watched + children_.size());
  bool work_left = true;
  for (; work_left && bound > 0 && failure_.empty(); --bound) {
    ++sweeps_;
    work_left = rig_.sweep();
  }
  must(!work_left, "no end of sweeps");
}

void schedule::wake_all(bool by_poller) {
  rig_.wake(by_poller ? notice::poller : notice::sigchld);
  rig_.wake(notice::backend);
}

// After a notice, and sweeps until one leaves nothing: who can be found by it has been delivered.
void schedule::check_all_found(bool by_poller) {
  rig_.kernel.plan_nothing();
  faulty_ = false;
  wake_all(by_poller);
  settle();
  quiet_ = true;  // callbacks of the first round may have ended others, unheard
  wake_all(by_poller);
  settle();
  quiet_ = false;
  for (note& one : notes_) {
    if (one.now == note::over) continue;
    child& whose = *one.whose;
    bool could_be_seen = !whose.hidden && (by_poller || whose.now != child::stolen);
    if (one.now == note::watching || one.now == note::detached) {
      must(whose.is_there() || !could_be_seen,
           whose.now == child::taken ? "collected, and not delivered" : "stolen, and not delivered",
           whose.pid);
      must(whose.now != child::zombie || !could_be_seen, "ended, and not collected", whose.pid);
    }
    must(one.changes.empty(), "a change that was collected and not delivered", whose.pid);
  }
}

void schedule::finish() {
  for (child& one : children_) {
    if (one.is_there()) rig_.kernel.traced(one.pid, false);
    one.hidden = false;
  }
  for (int rounds = 0; rounds < 3; ++rounds) check_all_found(true);
  bool is_any_watched = false;
  for (const note& one : notes_) {
    if (one.now == note::over) continue;
    must(one.whose->now == child::living || one.now == note::reserved, "a watch of an ended child is open",
         one.whose->pid);
    is_any_watched |= one.now == note::watching;
  }
  std::uint64_t held = 0;
  for (const child& one : children_) {
    if (!one.is_there()) continue;
    must(rig_.kernel.exists(one.pid), "the status of somebody else's child is gone", one.pid);
    if (one.held != nullptr) ++held;
  }
  must(rig_.stats().watched == held, "the table is wrong");
  must(rig_.holds_the_loop() == is_any_watched, "it holds the loop, or does not, for nothing");
}

}  // namespace test
