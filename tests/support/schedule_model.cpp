// What the model makes of what the reaper does, and what must be so.
#include <algorithm>

#include "schedule.hpp"

namespace test {

using uvreap::notice;

// ---- what the reaper does

void schedule::one_pass() {
  ++passes_;
  rig_.options.budget = 1 + below(largest_budget_);
  called_back_ = takings_ = 0;
  (void)rig_.pass.run();
  must(called_back_ + takings_ <= rig_.options.budget, "more than the budget");
}

void schedule::on_taken(pid_t pid, int word) {
  ++takings_;
  auto found = std::find_if(children_.rbegin(), children_.rend(), [pid](const child& one) {
    return one.pid == pid && (one.now == child::living || one.now == child::zombie);
  });
  if (found == children_.rend()) return must(false, "the status of nobody was taken", pid);
  must(found->held != nullptr, "nobody gave us this child, and we took its status", pid);
  if (found->held == nullptr) return;
  if (found->now == child::living) {
    must(found->held->now != note::forgotten && found->held->wants_changes, "nobody asked for this change",
         pid);
    found->held->changes.push_back(word);
    return;
  }
  found->now = child::taken;
  found->taken_in_pass = passes_;
  if (found->held->now == note::forgotten) {
    found->held->now = note::over;
    found->held = nullptr;
  }
}

void schedule::on_told(note& about, const uvreap::child_exit& exit) {
  ++called_back_;
  child& one = *about.whose;
  must(about.now == note::watching, "told, though it was told, released or forgotten before", exit.pid);
  must(exit.pid == one.pid, "told with another number", exit.pid);
  must(about.changes.empty(), "told before its changes", exit.pid);
  if (exit.lost) {
    must(one.now == child::stolen, "told as lost, and nobody stole it", exit.pid);
    must(!exit.status && exit.usage == uvreap::resource_usage{}, "a made-up status", exit.pid);
    ++counts_.lost;
  } else {
    must(one.now == child::taken, "told, and its status was not taken", exit.pid);
    must(exit.status.raw() == one.word, "told with another status", exit.pid);
    must(one.taken_in_pass < passes_, "told in the pass that collected it", exit.pid);
    ++counts_.told;
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
      return forget_somebody();
    case 4:
      return exit_of_somebody();
    case 5:
      return rig_.pass.hear(notice::sigchld);
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
  rig_.options.budget = 1 + below(largest_budget_);
  // A peek and a wait for each, three rounds and what was cut off, the telling of all, and the peek's pauses.
  int bound = 40 + 8 * static_cast<int>(rig_.table.size() + rig_.ready.size() + 20);
  bool work_left = true;
  for (; work_left && bound > 0 && failure_.empty(); --bound) {
    ++passes_;
    work_left = rig_.pass.run();
  }
  must(!work_left, "no end of passes");
  must(!rig_.backend.has_more(), "the backend is not done, and the pass is");
}

// After a notice, and passes until one leaves nothing: who can be found by it has been told.
void schedule::check_all_found(bool by_poller) {
  rig_.kernel.plan_nothing();
  faulty_ = false;
  rig_.pass.hear(by_poller ? notice::poller : notice::sigchld);
  settle();
  quiet_ = true;  // callbacks of the first round may have ended others, unheard
  rig_.pass.hear(by_poller ? notice::poller : notice::sigchld);
  settle();
  quiet_ = false;
  for (note& one : notes_) {
    if (one.now == note::over) continue;
    child& whose = *one.whose;
    bool could_be_seen = !whose.hidden && (by_poller || whose.now != child::stolen);
    if (one.now == note::forgotten && whose.now == child::stolen && rig_.table.find(whose.pid) == nullptr) {
      one.now = note::over;  // seen to be lost, and that is told to nobody
      whose.held = nullptr;
      continue;
    }
    if (one.now == note::watching || one.now == note::forgotten) {
      must(whose.now == child::living || whose.now == child::zombie || !could_be_seen,
           whose.now == child::taken ? "collected, and not told" : "stolen, and not told", whose.pid);
      must(whose.now != child::zombie || !could_be_seen, "ended, and not collected", whose.pid);
    }
    must(one.changes.empty(), "a change that was collected and not told", whose.pid);
  }
}

void schedule::finish() {
  for (child& one : children_) {
    if (one.now == child::living || one.now == child::zombie) rig_.kernel.traced(one.pid, false);
    one.hidden = false;
  }
  for (int rounds = 0; rounds < 3; ++rounds) check_all_found(true);
  for (const note& one : notes_) {
    if (one.now == note::over) continue;
    must(one.whose->now == child::living || one.now == note::reserved, "a watch of an ended child is open",
         one.whose->pid);
  }
  for (const child& one : children_) {
    if (one.now != child::living && one.now != child::zombie) continue;
    must(rig_.kernel.exists(one.pid), "the status of somebody else's child is gone", one.pid);
    must((one.held != nullptr) == (rig_.table.find(one.pid) != nullptr), "the table is wrong", one.pid);
  }
  must(rig_.table.holding() + rig_.ready.holding() ==
           static_cast<std::size_t>(std::count_if(notes_.begin(), notes_.end(),
                                                  [](const note& one) { return one.now == note::watching; })),
       "the count of what holds the loop is wrong");
}

}  // namespace test
