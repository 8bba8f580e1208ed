// Watches that come and go around the sweep: reserved, detached, released, taken back, and numbers used
// again.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include "support/core_rig.hpp"

using test::core_rig;
using test::exited_with;
using test::with_budget;
using uvreap::notice;

TEST_CASE("a detached child is reaped and not delivered, a reserved one keeps its end until it is watched") {
  core_rig rig;
  pid_t detached = rig.born_watched();
  pid_t reserved = rig.kernel.born();
  REQUIRE(rig.detach(detached) == 0);
  REQUIRE(rig.reserve(reserved) == 0);
  rig.end_all({detached, reserved});
  rig.wake(notice::sigchld);
  rig.settle();
  CHECK(rig.stats().reaped == 2);
  CHECK(rig.all_delivered().empty());
  CHECK(rig.release(reserved) == UV_EALREADY);
  CHECK(rig.release(detached) == UV_ESRCH);
  CHECK(rig.stats().reserved == 1);
  CHECK(rig.watch(detached) == UV_ESRCH);

  REQUIRE(rig.watch(reserved) == 0);
  CHECK(rig.delivered(reserved).empty());  // never inside the call
  rig.settle();
  CHECK(rig.delivered_once(reserved).status.raw() == test::word_of(reserved));
}

TEST_CASE("an ended child that is reserved once more stays reserved") {
  core_rig rig;
  pid_t pid = rig.kernel.born();
  REQUIRE(rig.reserve(pid) == 0);
  rig.end_all({pid});
  rig.wake(notice::sigchld);
  rig.settle();
  CHECK(rig.reserve(pid) == 0);  // an empty callback: undelivered until watch() brings one
  rig.settle();
  REQUIRE(rig.watch(pid) == 0);
  rig.settle();
  CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("a detached child that is watched again is delivered") {
  core_rig rig;
  pid_t pid = rig.born_watched();
  REQUIRE(rig.detach(pid) == 0);
  REQUIRE(rig.watch(pid) == 0);
  CHECK(rig.watch(pid) == UV_EEXIST);
  rig.end_all({pid});
  rig.wake(notice::sigchld);
  rig.settle();
  CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("detaching what is collected drops its delivery; releasing it is too late") {
  core_rig rig;
  auto pids = rig.born_watched(2);
  rig.end_all(pids);
  rig.wake(notice::poller);
  REQUIRE(rig.sweep());
  CHECK(rig.detach(pids[0]) == 0);
  CHECK(rig.release(pids[1]) == UV_EALREADY);
  rig.settle();
  CHECK(rig.delivered(pids[0]).empty());
  CHECK(rig.delivered(pids[1]).size() == 1);
  CHECK_FALSE(rig.holds_the_loop());
}

TEST_CASE("a child released while its pid waits in a batch is left to its new owner") {
  core_rig rig(with_budget(1));
  auto pids = rig.born_watched(10);
  rig.end_all(pids);
  rig.wake(notice::poller);
  REQUIRE(rig.sweep());  // the batch holds all of them, one is taken
  REQUIRE(rig.stats().reaped == 1);
  for (int i = 5; i < 10; ++i) REQUIRE(rig.release(pids[static_cast<std::size_t>(i)]) == 0);
  rig.settle();
  CHECK(rig.all_delivered().size() == 5);
  for (std::size_t i = 5; i < 10; ++i) CHECK(rig.kernel.is_zombie(pids[i]));
}

TEST_CASE("a younger child with the number of a delivered one is another child") {
  core_rig rig;
  pid_t pid = rig.born_watched();
  rig.kernel.ends(pid, exited_with(1));
  rig.wake(notice::sigchld);
  REQUIRE(rig.sweep());  // collected, undelivered: the number is free
  rig.kernel.born_as(pid);
  REQUIRE(rig.watch(pid) == 0);
  rig.kernel.ends(pid, exited_with(2));
  rig.wake(notice::sigchld);
  rig.settle();
  REQUIRE(rig.delivered(pid).size() == 2);
  CHECK(rig.delivered(pid)[0].status.raw() == exited_with(1));
  CHECK(rig.delivered(pid)[1].status.raw() == exited_with(2));
}

TEST_CASE("who is released, and who has ended, is looked for no more") {
  core_rig rig;
  pid_t released = rig.kernel.born();
  pid_t ended = rig.kernel.born();
  for (pid_t pid : {released, ended}) REQUIRE(rig.watch_changes(pid) == 0);
  CHECK(rig.stats().on_peek == 2);
  REQUIRE(rig.release(released) == 0);
  rig.end_all({ended});
  rig.find(notice::poller);
  CHECK(rig.stats().on_peek == 0);
  auto waits = rig.kernel.waits();
  for (notice who : {notice::sigchld, notice::poller}) rig.find(who);
  CHECK(rig.kernel.waits() == waits);
}

TEST_CASE("a change that was collected and not delivered goes with the detach") {
  core_rig rig;
  pid_t pid = rig.kernel.born();
  REQUIRE(rig.watch_changes(pid) == 0);
  rig.kernel.stops(pid, SIGSTOP);
  rig.wake(notice::sigchld);
  REQUIRE(rig.sweep());
  REQUIRE(rig.detach(pid) == 0);
  rig.settle();
  CHECK(rig.changes().empty());
}

TEST_CASE(
    "a child that its change callback releases, or detaches and watches again, has its new callbacks alone") {
  core_rig rig;
  pid_t pid = rig.kernel.born();
  int stops = 0;
  uvreap::watch_options again;
  again.on_change = [&](const auto&) { ++stops; };
  bool releases = false;
  SUBCASE("released") { releases = true; }
  SUBCASE("detached") {}
  REQUIRE(rig.watch_changes(pid, [&] {
    CHECK((releases ? rig.release(pid) : rig.detach(pid)) == 0);
    CHECK(rig.watch_as(pid, again, [](const auto&) {}) == 0);
  }) == 0);
  rig.kernel.stops(pid, SIGSTOP);
  rig.find(notice::sigchld);
  rig.kernel.continues(pid);
  rig.find(notice::sigchld);
  CHECK(rig.changes().size() == 1);
  CHECK(stops == 1);
}
