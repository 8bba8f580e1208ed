// Answers of the kernel that are rare, wrong or hostile: none ends the program, none invents a status, and
// none loses a watch.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include <cerrno>
#include <vector>

#include "support/pass_rig.hpp"

using test::exited_with;
using test::fake_call;
using test::for_ever;
using test::pass_rig;
using test::with_budget;
using uvreap::child_exit;
using uvreap::notice;

TEST_CASE("EINTR once is retried at once, and is one look for the budget") {
  pass_rig rig(with_budget(1));
  pid_t pid = rig.born_watched();
  rig.end_all({pid});
  rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .times = 3});
  rig.pass.hear(notice::sigchld);
  CHECK(rig.pass.run());
  CHECK(rig.stats.reaped == 1);  // in the same pass
  rig.settle();
  CHECK(rig.told_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("a child that only a hint named is asked again after many EINTR, with no other notice") {
  pass_rig rig;
  pid_t pid = rig.kernel.born();
  rig.end_all({pid});
  REQUIRE(rig.watch(pid) == 0);
  rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .times = 20});
  rig.settle(20);
  CHECK(rig.told_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("EINTR from every wait: each pass stays bounded, and nothing is lost when it ends") {
  pass_rig rig;
  auto pids = rig.born_watched(30);
  rig.end_all(pids);
  rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .times = for_ever});
  rig.pass.hear(notice::poller);
  for (int passes = 0; passes < 50; ++passes) {
    auto waits = rig.kernel.waits();
    (void)rig.pass.run();
    REQUIRE(rig.kernel.waits() - waits <= 17u * static_cast<unsigned>(rig.options.budget));
  }
  CHECK(rig.all_told().empty());
  CHECK(rig.table.size() == 30);
  rig.kernel.plan_nothing();
  rig.pass.hear(notice::poller);
  rig.settle();
  for (pid_t pid : pids) CHECK(rig.told_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("one child whose wait says EINTR for ever does not keep the others from being told") {
  pass_rig rig;
  pid_t cursed = rig.born_watched();
  auto others = rig.born_watched(50);
  rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .pid = cursed, .times = for_ever});
  rig.end_all({cursed});
  rig.end_all(others);
  rig.pass.hear(notice::sigchld);
  for (int passes = 0; passes < 200; ++passes) (void)rig.pass.run();
  CHECK(rig.all_told().size() == others.size());
  CHECK(rig.told(cursed).empty());
  rig.kernel.plan_nothing();
  rig.pass.hear(notice::poller);
  rig.settle();
  CHECK(rig.told(cursed).size() == 1);
}

TEST_CASE("ECHILD is lost: told once, with no status and no usage") {
  pass_rig rig;
  pid_t pid = rig.born_watched();
  rig.end_all({pid});
  REQUIRE(rig.kernel.stolen(pid));
  rig.pass.hear(notice::sigchld);
  rig.settle();
  CHECK(rig.told(pid).empty());  // a signal says nothing of a child that left no zombie
  rig.pass.hear(notice::poller);
  rig.settle();
  rig.pass.hear(notice::poller);
  rig.settle();
  CHECK(rig.told_once(pid) == child_exit{.pid = pid, .lost = true, .noticed_by = notice::poller});
  CHECK_FALSE(rig.told_once(pid).status);
  CHECK(rig.stats.reaped == 0);
  CHECK(rig.table.size() == 0);
}

TEST_CASE("all children stolen at once are all told as lost") {
  pass_rig rig;
  auto pids = rig.born_watched(500);
  rig.end_all(pids);
  for (pid_t pid : pids) REQUIRE(rig.kernel.stolen(pid));
  rig.pass.hear(notice::poller);
  rig.settle(40);
  for (pid_t pid : pids) REQUIRE(rig.told_once(pid).lost);
}

TEST_CASE("a stop that comes through without WUNTRACED is no end and no change") {
  // A thread of ours that traces the child sees its stops whatever it asked for (Go #60321).
  pass_rig rig;
  pid_t pid = rig.born_watched();
  rig.kernel.plan({.where = fake_call::wait4, .result = pid, .word = test::stopped_by(SIGTRAP)});
  rig.kernel.plan({.where = fake_call::wait4, .result = pid, .word = test::was_continued});
  for (int i = 0; i < 2; ++i) {
    rig.pass.hear(notice::poller);
    rig.settle();
  }
  CHECK(rig.all_told().empty());
  CHECK(rig.changes().empty());
  rig.end_all({pid});
  rig.pass.hear(notice::sigchld);
  rig.settle();
  CHECK(rig.told_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("odd answers leave the watch in place, spin nothing, and the true end comes later") {
  pass_rig rig;
  pid_t pid = rig.born_watched();
  pid_t bystander = rig.born_watched();
  test::fault odd{.where = fake_call::wait4, .pid = pid, .times = for_ever};
  SUBCASE("another pid than was asked for") { odd.result = bystander, odd.word = exited_with(1); }
  SUBCASE("a pid that nobody knows") { odd.result = 4'000'000, odd.word = exited_with(1); }
  SUBCASE("a pid below -1") { odd.result = -5, odd.error = EINVAL; }
  SUBCASE("EINVAL") { odd.error = EINVAL; }
  SUBCASE("-1 and no errno") { odd.error = 0; }
  SUBCASE("ENOSYS, as of a filter") { odd.error = ENOSYS; }
  SUBCASE("EPERM, as of a filter") { odd.error = EPERM; }
  SUBCASE("EFAULT") { odd.error = EFAULT; }
  SUBCASE("0, though it has ended") { odd.result = 0; }
  rig.kernel.plan(odd);
  rig.end_all({pid});
  for (notice who : {notice::sigchld, notice::poller, notice::sigchld}) {
    auto waits = rig.kernel.waits();
    rig.pass.hear(who);
    CHECK(rig.settle() <= 4);
    CHECK(rig.kernel.waits() - waits <= 10);
  }
  CHECK(rig.all_told().empty());
  CHECK(rig.table.size() == 2);
  CHECK(rig.watch(pid) == UV_EEXIST);  // the claim stands, too

  rig.kernel.plan_nothing();
  rig.pass.hear(notice::sigchld);
  rig.settle();
  CHECK(rig.told_once(pid).status.raw() == test::word_of(pid));
  CHECK(rig.told(bystander).empty());
}

TEST_CASE("a zombie that is peeked and that wait4 does not give hides nobody behind it") {
  pass_rig rig;
  pid_t cursed = rig.born_watched();
  auto others = rig.born_watched(20);
  rig.kernel.plan({.where = fake_call::wait4, .result = 0, .pid = cursed, .times = for_ever});
  rig.end_all({cursed});
  rig.end_all(others);
  rig.pass.hear(notice::sigchld);
  rig.settle(20);
  for (pid_t pid : others) CHECK(rig.told(pid).size() == 1);
  auto waits = rig.kernel.waits();
  rig.pass.hear(notice::sigchld);  // again first: this time straight to the round
  rig.settle(20);
  CHECK(rig.kernel.waits() - waits <= 3);
  CHECK_FALSE(rig.backend.has_more());
}

TEST_CASE("a peek that fails is no proof of anything: each of ours is asked") {
  pass_rig rig;
  auto pids = rig.born_watched(20);
  rig.end_all(pids);
  rig.kernel.plan({.where = fake_call::waitid, .error = EINVAL});
  SUBCASE("EINTR") {
    rig.kernel.plan_nothing();
    rig.kernel.plan({.where = fake_call::waitid, .error = EINTR});
  }
  rig.pass.hear(notice::sigchld);
  rig.settle();
  for (pid_t pid : pids) CHECK(rig.told(pid).size() == 1);
}

TEST_CASE("a peek that always fails leaves children to rounds, and ends") {
  pass_rig rig;
  auto pids = rig.born_watched(20);
  rig.kernel.plan({.where = fake_call::waitid, .error = ENOSYS, .times = for_ever});
  rig.end_all(pids);
  rig.pass.hear(notice::sigchld);
  rig.settle(10);
  CHECK(rig.all_told().size() == 20);
  auto waits = rig.kernel.waits();
  CHECK_FALSE(rig.pass.run());
  CHECK(rig.kernel.waits() == waits);
}

TEST_CASE("errno that stands from before means nothing when wait4 says 0") {
  pass_rig rig;
  pid_t pid = rig.born_watched();
  rig.kernel.plan({.where = fake_call::wait4, .error = ECHILD, .result = 0, .times = 4});
  rig.pass.hear(notice::poller);
  rig.settle();
  CHECK(rig.told(pid).empty());
  CHECK(rig.stats.lost == 0);
}

TEST_CASE("a stolen child is told as lost although exits never stop coming") {
  pass_rig rig(with_budget(16));
  pid_t stolen = rig.born_watched();
  rig.end_all({stolen});
  REQUIRE(rig.kernel.stolen(stolen));
  rig.pass.hear(notice::poller);
  for (int passes = 0; passes < 500 && rig.told(stolen).empty(); ++passes) {
    rig.end_all(rig.born_watched(16));  // as many as a pass may collect, before each
    rig.pass.hear(notice::sigchld);
    if (passes % 100 == 0) rig.pass.hear(notice::poller);
    (void)rig.pass.run();
  }
  CHECK(rig.told(stolen).size() == 1);
  rig.settle();
}
