// Watches that come and go around the pass: reserved, forgotten, released, taken back, and numbers used
// again.
#include <doctest/doctest.h>
#include <uv.h>

#include "support/pass_rig.hpp"

using test::exited_with;
using test::pass_rig;
using test::with_budget;
using uvreap::notice;

TEST_CASE(
    "a forgotten child is reaped and told to nobody, a reserved one keeps its end until somebody watches") {
  pass_rig rig;
  pid_t forgotten = rig.born_watched();
  pid_t reserved = rig.kernel.born();
  REQUIRE(rig.detach(forgotten) == 0);
  REQUIRE(rig.reserve(reserved) == 0);
  rig.end_all({forgotten, reserved});
  rig.pass.hear(notice::sigchld);
  rig.settle();
  CHECK(rig.stats.reaped == 2);
  CHECK(rig.all_told().empty());
  CHECK(rig.ready.has(reserved));
  CHECK_FALSE(rig.ready.has(forgotten));
  CHECK(rig.watch(forgotten) == UV_ESRCH);

  REQUIRE(rig.watch(reserved) == 0);
  CHECK(rig.told(reserved).empty());  // never inside the call
  rig.settle();
  CHECK(rig.told_once(reserved).status.raw() == test::word_of(reserved));
}

TEST_CASE("an ended child that is reserved once more stays reserved") {
  pass_rig rig;
  pid_t pid = rig.kernel.born();
  REQUIRE(rig.reserve(pid) == 0);
  rig.end_all({pid});
  rig.pass.hear(notice::sigchld);
  rig.settle();
  CHECK(rig.reserve(pid) == 0);  // an empty callback: untold until watch() brings one
  rig.settle();
  REQUIRE(rig.watch(pid) == 0);
  rig.settle();
  CHECK(rig.told_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("a forgotten child that is watched again is told") {
  pass_rig rig;
  pid_t pid = rig.born_watched();
  REQUIRE(rig.detach(pid) == 0);
  REQUIRE(rig.watch(pid) == 0);
  CHECK(rig.watch(pid) == UV_EEXIST);
  rig.end_all({pid});
  rig.pass.hear(notice::sigchld);
  rig.settle();
  CHECK(rig.told_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("forgetting what is collected drops its telling; releasing it is too late") {
  pass_rig rig;
  auto pids = rig.born_watched(2);
  rig.end_all(pids);
  rig.pass.hear(notice::poller);
  REQUIRE(rig.pass.run());
  CHECK(rig.detach(pids[0]) == 0);
  CHECK(rig.release(pids[1]) == UV_EALREADY);
  rig.settle();
  CHECK(rig.told(pids[0]).empty());
  CHECK(rig.told(pids[1]).size() == 1);
  CHECK(rig.ready.holding() == 0);
}

TEST_CASE("a child released while its pid waits in a batch is left to its new owner") {
  pass_rig rig(with_budget(1));
  auto pids = rig.born_watched(10);
  rig.end_all(pids);
  rig.pass.hear(notice::poller);
  REQUIRE(rig.pass.run());  // the batch holds all of them, one is taken
  REQUIRE(rig.stats.reaped == 1);
  for (int i = 5; i < 10; ++i) REQUIRE(rig.release(pids[static_cast<std::size_t>(i)]) == 0);
  rig.settle();
  CHECK(rig.all_told().size() == 5);
  for (std::size_t i = 5; i < 10; ++i) CHECK(rig.kernel.is_zombie(pids[i]));
}

TEST_CASE("a younger child with the number of a told one is another child") {
  pass_rig rig;
  pid_t pid = rig.born_watched();
  rig.kernel.ends(pid, exited_with(1));
  rig.pass.hear(notice::sigchld);
  REQUIRE(rig.pass.run());  // collected, untold: the number is free
  rig.kernel.born_as(pid);
  REQUIRE(rig.watch(pid) == 0);
  rig.kernel.ends(pid, exited_with(2));
  rig.pass.hear(notice::sigchld);
  rig.settle();
  REQUIRE(rig.told(pid).size() == 2);
  CHECK(rig.told(pid)[0].status.raw() == exited_with(1));
  CHECK(rig.told(pid)[1].status.raw() == exited_with(2));
}

TEST_CASE("who is released, and who has ended, is looked for no more") {
  pass_rig rig;
  pid_t released = rig.kernel.born();
  pid_t ended = rig.kernel.born();
  for (pid_t pid : {released, ended}) REQUIRE(rig.watch_changes(pid) == 0);
  CHECK(rig.pass.needs_sigchld());
  REQUIRE(rig.release(released) == 0);
  rig.end_all({ended});
  rig.pass.hear(notice::poller);
  rig.settle();
  uvreap::statistics now;
  rig.backend.describe(now);
  CHECK(now.on_peek == 0);
  CHECK_FALSE(rig.pass.needs_sigchld());
}
