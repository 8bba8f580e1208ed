// The backend peek under the sweep: one zombie is shown at a time, and it may be other code's for ever.
#include <doctest/doctest.h>

#include "support/core_rig.hpp"

using test::core_rig;
using test::exited_with;
using test::with_budget;
using uvreap::notice;

TEST_CASE("a foreign zombie that stays first: ours are all found in one round, and the peeks stop") {
  core_rig rig(with_budget(1'000'000));
  pid_t foreign = rig.kernel.born(test::owner::foreign);
  auto pids = rig.born_watched(300);
  auto waits = rig.kernel.waits();
  rig.kernel.ends(foreign, 0);
  rig.end_all(pids);
  rig.wake(notice::sigchld);
  int sweeps = rig.settle();
  CHECK(sweeps <= 4);
  for (pid_t pid : pids) REQUIRE(rig.delivered_once(pid).noticed_by == notice::sigchld);
  CHECK(rig.kernel.waits() - waits <= 602);  // a look and a wait for each, and the peek
  CHECK(rig.kernel.is_zombie(foreign));
  CHECK(rig.kernel.foreign_taken() == 0);

  // And it costs nothing more until the next notice; then one peek and one round over those who live.
  auto living = rig.born_watched(5);
  waits = rig.kernel.waits();
  CHECK_FALSE(rig.sweep());
  CHECK(rig.kernel.waits() == waits);
  rig.wake(notice::sigchld);
  rig.settle();
  CHECK(rig.kernel.waits() - waits == 6);
}

TEST_CASE("a foreign zombie among ours: those before it are peeked, those behind it come by the round") {
  core_rig rig;
  auto before = rig.born_watched(20);
  pid_t foreign = rig.kernel.born(test::owner::foreign);
  auto behind = rig.born_watched(20);
  rig.end_all(before);
  rig.kernel.ends(foreign, 0);
  rig.end_all(behind);
  rig.wake(notice::sigchld);
  rig.settle(20);
  CHECK(rig.all_delivered().size() == 40);
  CHECK(rig.kernel.is_zombie(foreign));
}

TEST_CASE("an exit behind the cursor of a round that goes on is found by the round after it") {
  core_rig rig(with_budget(4));
  pid_t foreign = rig.kernel.born(test::owner::foreign);
  rig.kernel.ends(foreign, 0);
  auto pids = rig.born_watched(40);
  rig.wake(notice::sigchld);
  REQUIRE(rig.sweep());
  REQUIRE(rig.sweep());
  REQUIRE(rig.sweep());  // the cursor is well beyond the first
  rig.kernel.ends(pids.front(), exited_with(1));
  rig.wake(notice::sigchld);
  rig.settle(60);
  CHECK(rig.delivered_once(pids.front()).status.raw() == exited_with(1));
}

TEST_CASE(
    "a zombie that a tracer holds is no end, and spins nothing; its end is delivered when the tracer lets "
    "go") {
  core_rig rig;
  pid_t pid = rig.born_watched();
  rig.born_watched(3);
  rig.kernel.ends(pid, exited_with(4));
  rig.kernel.traced(pid, true);
  rig.wake(notice::sigchld);
  CHECK(rig.settle() <= 2);
  rig.wake(notice::poller);
  CHECK(rig.settle() <= 2);
  CHECK(rig.delivered(pid).empty());
  rig.kernel.traced(pid, false);
  rig.wake(notice::sigchld);
  rig.settle();
  CHECK(rig.delivered_once(pid).status.raw() == exited_with(4));
}

TEST_CASE("a child that only __WALL shows is found by the poller") {
  core_rig rig;
  pid_t pid = rig.kernel.born();
  rig.kernel.silent(pid);
  REQUIRE(rig.watch(pid) == 0);
  rig.kernel.ends(pid, exited_with(6));
  rig.wake(notice::poller);
  rig.settle();
  CHECK(rig.delivered_once(pid).status.raw() == exited_with(6));
}

TEST_CASE("an empty peek starts no round: a signal for nobody of ours costs one call") {
  core_rig rig;
  rig.born_watched(100);
  auto waits = rig.kernel.waits();
  rig.wake(notice::sigchld);
  CHECK_FALSE(rig.sweep());
  CHECK(rig.kernel.waits() - waits == 1);
}

TEST_CASE("a younger child with the number that was peeked last is found by a peek, not by a round") {
  core_rig rig;
  rig.born_watched(200);
  pid_t pid = rig.kernel.born();
  for (int lives = 0; lives < 3; ++lives) {
    REQUIRE(rig.watch(pid) == 0);
    rig.end_all({pid});
    auto waits = rig.kernel.waits();
    rig.wake(notice::sigchld);
    rig.settle();
    CHECK(rig.kernel.waits() - waits == 4);  // a peek, a look and a wait, and the peek that shows nobody
    rig.kernel.born_as(pid);
  }
  CHECK(rig.delivered(pid).size() == 3);
}
