// The sweep by itself: when it collects, when it delivers, and what callbacks do to it.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include <functional>
#include <vector>

#include "support/core_rig.hpp"

using test::core_rig;
using test::exited_with;
using test::fake_call;
using test::with_budget;
using uvreap::child_exit;
using uvreap::notice;
using uvreap::sigchld_health;

TEST_CASE("an exit is collected in one sweep and delivered in the next") {
  core_rig rig;
  pid_t pid = rig.kernel.born();
  REQUIRE(rig.watch(pid) == 0);
  CHECK_FALSE(rig.sweep());  // it lives, no notice came

  ::rusage spent{};
  spent.ru_utime.tv_usec = 7;
  rig.kernel.ends(pid, exited_with(3), spent);
  rig.wake(notice::sigchld);
  CHECK(rig.sweep());
  CHECK_FALSE(rig.kernel.exists(pid));  // taken
  CHECK(rig.stats().watched == 0);
  CHECK(rig.delivered(pid).empty());  // and not delivered
  (void)rig.sweep();
  child_exit exit = rig.delivered_once(pid);
  CHECK(exit == child_exit{.pid = pid,
                           .status = uvreap::wait_status(exited_with(3)),
                           .usage = uvreap::resource_usage::from(spent),
                           .noticed_by = notice::sigchld});
  rig.settle();
  CHECK(rig.delivered(pid).size() == 1);
  CHECK(rig.stats().reaped == 1);
}

TEST_CASE("a sweep with nothing to do asks the kernel nothing") {
  core_rig rig;
  rig.born_watched(3);
  auto waits = rig.kernel.waits();
  auto clocks = rig.kernel.calls(fake_call::thread_cpu_ns);
  CHECK_FALSE(rig.sweep());
  CHECK(rig.kernel.waits() == waits);
  CHECK(rig.kernel.calls(fake_call::thread_cpu_ns) == clocks);
}

TEST_CASE("a child that had ended is delivered after its hint, as already") {
  core_rig rig;
  pid_t pid = rig.kernel.born();
  rig.kernel.ends(pid, SIGKILL);
  REQUIRE(rig.watch(pid) == 0);
  rig.settle();
  CHECK(rig.delivered_once(pid).noticed_by == notice::already);
  CHECK(rig.delivered_once(pid).status.term_signal() == SIGKILL);
}

TEST_CASE("what the poller finds is missed if no signal comes by the next turn, and not if one comes") {
  auto options = with_budget(64);
  options.sigchld = uvreap::sigchld_use::always;  // who does not listen hears nothing, and misses nothing
  core_rig rig(options);
  rig.kernel.action.sa_handler = [](int) {};
  pid_t missed = rig.born_watched();
  rig.kernel.ends(missed, 0);
  rig.wake(notice::poller);
  CHECK(rig.sweep());
  CHECK(rig.stats().missed == 0);  // not known yet
  rig.settle();
  CHECK(rig.stats().missed == 1);
  CHECK(rig.stats().sigchld == sigchld_health::unheard);
  CHECK(rig.delivered_once(missed).noticed_by == notice::poller);

  pid_t found_late = rig.born_watched();
  rig.kernel.ends(found_late, 0);
  rig.wake(notice::poller);
  CHECK(rig.sweep());
  rig.wake(notice::sigchld);
  CHECK(rig.stats().sigchld == sigchld_health::healthy);  // it speaks again
  rig.settle();
  CHECK(rig.stats().missed == 1);
  CHECK(rig.stats().wakeups_by_poller == 2);
  CHECK(rig.stats().wakeups_by_sigchld == 1);
}

TEST_CASE("a signal that came in the same turn as the tick is not missed") {
  // The timers run before the poll phase, so a tick and a signal that meet come in this order.
  core_rig rig;
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
  rig.wake(notice::poller);
  rig.wake(notice::sigchld);
  rig.settle();
  CHECK_FALSE(rig.all_delivered().empty());
  CHECK(rig.stats().missed == 0);
}

TEST_CASE("a detached child that only the poller found is missed as well") {
  core_rig rig;
  pid_t pid = rig.born_watched();
  REQUIRE(rig.detach(pid) == 0);
  rig.end_all({pid});
  rig.wake(notice::poller);
  rig.settle();
  CHECK(rig.stats().missed == 1);
}

TEST_CASE("a lost child is no missed signal") {
  core_rig rig;
  pid_t pid = rig.born_watched();
  rig.kernel.ends(pid, 0);
  REQUIRE(rig.kernel.stolen(pid));
  rig.wake(notice::poller);
  rig.settle();
  CHECK(rig.delivered_once(pid).lost);
  CHECK(rig.stats().missed == 0);
  CHECK(rig.stats().lost == 1);
}

TEST_CASE("stops and continues go to those who asked, in order with the end, and to nobody else") {
  core_rig rig;
  pid_t asked = rig.kernel.born();
  pid_t silent = rig.born_watched();
  REQUIRE(rig.watch_changes(asked) == 0);
  auto all = [&](auto change) {
    for (pid_t pid : {asked, silent}) change(pid);
    rig.wake(notice::sigchld);
    rig.settle();
  };
  all([&](pid_t pid) { rig.kernel.stops(pid, SIGTSTP); });
  all([&](pid_t pid) { rig.kernel.continues(pid); });
  all([&](pid_t pid) { rig.kernel.ends(pid, exited_with(2)); });
  REQUIRE(rig.changes().size() == 2);
  CHECK(rig.changes()[0].pid == asked);
  CHECK(rig.changes()[0].status.raw() == test::stopped_by(SIGTSTP));
  CHECK(rig.changes()[1].status.raw() == test::was_continued);
  CHECK(rig.delivered_once(asked).status.raw() == exited_with(2));
  CHECK(rig.delivered_once(silent).status.raw() == exited_with(2));
}

TEST_CASE("callbacks that watch, release and detach others find the lists in order") {
  core_rig rig;
  std::vector<pid_t> others;
  pid_t late = 0;
  pid_t first = rig.kernel.born();  // so it is the first to be delivered, too
  REQUIRE(rig.watch(first, [&](const child_exit&) {
    late = rig.kernel.born();
    REQUIRE(rig.watch(late) == 0);
    rig.end_all({late});
    CHECK(rig.detach(others[0]) == 0);             // collected with us: its delivery is dropped
    CHECK(rig.release(others[1]) == UV_EALREADY);  // and this one's comes
    CHECK(rig.release(others[3]) == 0);            // lives
    CHECK(rig.detach(first) == UV_ESRCH);          // nobody's any more
    rig.wake(notice::sigchld);
  }) == 0);
  others = rig.born_watched(4);
  rig.end_all({first, others[0], others[1]});
  rig.wake(notice::poller);
  REQUIRE(rig.sweep());
  REQUIRE(rig.stats().reaped == 3);
  rig.settle();
  CHECK(rig.delivered(others[0]).empty());
  CHECK(rig.delivered(others[1]).size() == 1);
  CHECK(rig.delivered(others[2]).empty());
  CHECK(rig.delivered(late).size() == 1);
  CHECK(rig.stats().watched == 1);
}

TEST_CASE("a callback that closes the reaper: nothing is collected any more") {
  core_rig rig(with_budget(4));
  pid_t stopper = rig.kernel.born();
  REQUIRE(rig.watch(stopper, [&](const child_exit&) { rig.close(); }) == 0);
  auto others = rig.born_watched(8);
  rig.end_all({stopper});
  rig.end_all(others);
  rig.wake(notice::poller);
  REQUIRE(rig.sweep());
  auto waits = rig.kernel.waits();
  CHECK_FALSE(rig.sweep());
  CHECK(rig.delivered(stopper).size() == 1);
  CHECK(rig.kernel.waits() == waits);
}

TEST_CASE("a chain of callbacks that each watch an ended child is delivered one turn after another") {
  core_rig rig;
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
  rig.wake(notice::sigchld);
  std::size_t delivered = 0;
  for (bool work_left = true; work_left;) {
    work_left = rig.sweep();
    REQUIRE(rig.all_delivered().size() <= delivered + 1);
    delivered = rig.all_delivered().size();
  }
  CHECK(delivered == 50);
}
