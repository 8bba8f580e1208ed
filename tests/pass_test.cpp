// The pass by itself: when it collects, when it tells, and what callbacks do to it.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include <functional>
#include <vector>

#include "support/pass_rig.hpp"

using test::exited_with;
using test::fake_call;
using test::pass_rig;
using test::with_budget;
using uvreap::child_exit;
using uvreap::notice;

TEST_CASE("an exit is collected in one run and told in the next") {
  pass_rig rig;
  pid_t pid = rig.kernel.born();
  REQUIRE(rig.watch(pid) == 0);
  CHECK_FALSE(rig.pass.run());  // it lives, nobody said a thing

  ::rusage spent{};
  spent.ru_utime.tv_usec = 7;
  rig.kernel.ends(pid, exited_with(3), spent);
  rig.pass.hear(notice::sigchld);
  CHECK(rig.pass.run());
  CHECK_FALSE(rig.kernel.exists(pid));  // taken
  CHECK(rig.table.find(pid) == nullptr);
  CHECK(rig.told(pid).empty());  // and not told
  (void)rig.pass.run();
  child_exit told = rig.told_once(pid);
  CHECK(told == child_exit{.pid = pid,
                           .status = uvreap::wait_status(exited_with(3)),
                           .usage = uvreap::resource_usage::from(spent),
                           .noticed_by = notice::sigchld});
  rig.settle();
  CHECK(rig.told(pid).size() == 1);
  CHECK(rig.stats.reaped == 1);
}

TEST_CASE("a pass with nothing to do asks the kernel nothing") {
  pass_rig rig;
  rig.born_watched(3);
  auto waits = rig.kernel.waits();
  auto clocks = rig.kernel.calls(fake_call::thread_cpu_ns);
  CHECK_FALSE(rig.pass.run());
  CHECK(rig.kernel.waits() == waits);
  CHECK(rig.kernel.calls(fake_call::thread_cpu_ns) == clocks);
}

TEST_CASE("a child that had ended is told after its hint, as already") {
  pass_rig rig;
  pid_t pid = rig.kernel.born();
  rig.kernel.ends(pid, SIGKILL);
  REQUIRE(rig.watch(pid) == 0);
  rig.settle();
  CHECK(rig.told_once(pid).noticed_by == notice::already);
  CHECK(rig.told_once(pid).status.term_signal() == SIGKILL);
}

TEST_CASE("what the poller finds is missed if no signal comes by the next turn, and not if one comes") {
  pass_rig rig;
  pid_t missed = rig.born_watched();
  rig.kernel.ends(missed, 0);
  rig.pass.hear(notice::poller);
  CHECK(rig.pass.run());
  CHECK(rig.pass.poller_found());
  CHECK_FALSE(rig.pass.poller_found());  // asked and answered
  CHECK(rig.stats.missed == 0);          // not known yet
  rig.settle();
  CHECK(rig.stats.missed == 1);
  CHECK(rig.pass.unheard());
  CHECK(rig.told_once(missed).noticed_by == notice::poller);

  pid_t heard_late = rig.born_watched();
  rig.kernel.ends(heard_late, 0);
  rig.pass.hear(notice::poller);
  CHECK(rig.pass.run());
  rig.pass.hear(notice::sigchld);
  CHECK_FALSE(rig.pass.unheard());  // it speaks again
  rig.settle();
  CHECK(rig.stats.missed == 1);
  CHECK(rig.stats.wakeups_by_poller == 2);
  CHECK(rig.stats.wakeups_by_sigchld == 1);
}

TEST_CASE("a signal that came in the same turn as the tick is not missed") {
  // The timers run before the poll phase, so a tick and a signal that meet come in this order.
  pass_rig rig;
  SUBCASE("with a foreign zombie first, so that the poller's round finds it") {
    rig.kernel.ends(rig.kernel.born(test::owner::foreign), 0);
    rig.end_all({rig.born_watched()});
  }
  SUBCASE("with children that want changes, so that the round over those finds one") {
    for (int i = 0; i < 3; ++i) {
      pid_t pid = rig.kernel.born();
      REQUIRE(rig.watch_changes(pid) == 0);
      rig.kernel.ends(pid, 0);
    }
  }
  rig.pass.hear(notice::poller);
  rig.pass.hear(notice::sigchld);
  rig.settle();
  CHECK_FALSE(rig.all_told().empty());
  CHECK(rig.stats.missed == 0);
  CHECK_FALSE(rig.pass.unheard());
}

TEST_CASE("a forgotten child that only the poller found is missed as well") {
  pass_rig rig;
  pid_t pid = rig.born_watched();
  REQUIRE(rig.detach(pid) == 0);
  rig.end_all({pid});
  rig.pass.hear(notice::poller);
  rig.settle();
  CHECK(rig.stats.missed == 1);
}

TEST_CASE("a lost child is no missed signal") {
  pass_rig rig;
  pid_t pid = rig.born_watched();
  rig.kernel.ends(pid, 0);
  REQUIRE(rig.kernel.stolen(pid));
  rig.pass.hear(notice::poller);
  rig.settle();
  CHECK(rig.told_once(pid).lost);
  CHECK(rig.stats.missed == 0);
  CHECK(rig.stats.lost == 1);
  CHECK_FALSE(rig.pass.unheard());
}

TEST_CASE("stops and continues go to those who asked, in order with the end, and to nobody else") {
  pass_rig rig;
  pid_t asked = rig.kernel.born();
  pid_t silent = rig.born_watched();
  REQUIRE(rig.watch_changes(asked) == 0);
  auto all = [&](auto change) {
    for (pid_t pid : {asked, silent}) change(pid);
    rig.pass.hear(notice::sigchld);
    rig.settle();
  };
  all([&](pid_t pid) { rig.kernel.stops(pid, SIGTSTP); });
  all([&](pid_t pid) { rig.kernel.continues(pid); });
  all([&](pid_t pid) { rig.kernel.ends(pid, exited_with(2)); });
  REQUIRE(rig.changes().size() == 2);
  CHECK(rig.changes()[0].pid == asked);
  CHECK(rig.changes()[0].status.raw() == test::stopped_by(SIGTSTP));
  CHECK(rig.changes()[1].status.raw() == test::was_continued);
  CHECK(rig.told_once(asked).status.raw() == exited_with(2));
  CHECK(rig.told_once(silent).status.raw() == exited_with(2));
}

TEST_CASE("callbacks that watch, release and forget others find the lists in order") {
  pass_rig rig;
  std::vector<pid_t> others;
  pid_t late = 0;
  pid_t first = rig.kernel.born();  // so it is the first to be told, too
  REQUIRE(rig.watch(first, [&](const child_exit&) {
    late = rig.kernel.born();
    REQUIRE(rig.watch(late) == 0);
    rig.end_all({late});
    CHECK(rig.detach(others[0]) == 0);             // collected with us: its telling is dropped
    CHECK(rig.release(others[1]) == UV_EALREADY);  // and this one's comes
    CHECK(rig.release(others[3]) == 0);            // lives
    CHECK(rig.detach(first) == UV_ESRCH);          // nobody's any more
    rig.pass.hear(notice::sigchld);
  }) == 0);
  others = rig.born_watched(4);
  rig.end_all({first, others[0], others[1]});
  rig.pass.hear(notice::poller);
  REQUIRE(rig.pass.run());
  REQUIRE(rig.stats.reaped == 3);
  rig.settle();
  CHECK(rig.told(others[0]).empty());
  CHECK(rig.told(others[1]).size() == 1);
  CHECK(rig.told(others[2]).empty());
  CHECK(rig.told(late).size() == 1);
  CHECK(rig.table.size() == 1);
}

TEST_CASE("a callback that stops the pass: nothing is collected any more") {
  pass_rig rig(with_budget(4));
  pid_t stopper = rig.kernel.born();
  REQUIRE(rig.watch(stopper, [&](const child_exit&) { rig.pass.stop(); }) == 0);
  auto others = rig.born_watched(8);
  rig.end_all({stopper});
  rig.end_all(others);
  rig.pass.hint(stopper, notice::already);
  REQUIRE(rig.pass.run());
  auto waits = rig.kernel.waits();
  rig.pass.hear(notice::sigchld);
  CHECK_FALSE(rig.pass.run());
  CHECK(rig.kernel.waits() == waits);
}

TEST_CASE("a chain of callbacks that each watch an ended child is told one turn after another") {
  pass_rig rig;
  int made = 0;
  std::function<void(const child_exit&)> again = [&](const child_exit&) {
    if (++made >= 50) return;
    pid_t pid = rig.kernel.born();
    rig.kernel.ends(pid, 0);
    REQUIRE(rig.watch(pid, again) == 0);
  };
  pid_t pid = rig.kernel.born();
  REQUIRE(rig.watch(pid, again) == 0);
  rig.kernel.ends(pid, 0);
  rig.pass.hear(notice::sigchld);
  std::size_t told = 0;
  for (bool work_left = true; work_left;) {
    work_left = rig.pass.run();
    REQUIRE(rig.all_told().size() <= told + 1);
    told = rig.all_told().size();
  }
  CHECK(told == 50);
}
