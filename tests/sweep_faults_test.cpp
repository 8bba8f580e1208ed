// Answers of the kernel that are rare, wrong or hostile: none ends the program, none invents a status, and
// none loses a watch.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include <cerrno>
#include <vector>

#include "support/core_rig.hpp"

using test::core_rig;
using test::exited_with;
using test::fake_call;
using test::for_ever;
using test::with_budget;
using uvreap::child_exit;
using uvreap::notice;

TEST_CASE("EINTR once is retried at once, and is one look for the budget") {
  core_rig rig(with_budget(1));
  pid_t pid = rig.born_watched();
  rig.end_all({pid});
  rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .times = 3});
  rig.wake(notice::sigchld);
  CHECK(rig.sweep());
  CHECK(rig.stats().reaped == 1);  // in the same sweep
  rig.settle();
  CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("a child that only a hint named is asked again after many EINTR, with no other notice") {
  core_rig rig;
  pid_t pid = rig.kernel.born();
  rig.end_all({pid});
  REQUIRE(rig.watch(pid) == 0);
  rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .times = 20});
  rig.settle(20);
  CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("EINTR from every wait: each sweep stays bounded, and nothing is lost when it ends") {
  core_rig rig;
  auto pids = rig.born_watched(30);
  rig.end_all(pids);
  rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .times = for_ever});
  rig.wake(notice::poller);
  for (int sweeps = 0; sweeps < 50; ++sweeps) {
    auto waits = rig.kernel.waits();
    (void)rig.sweep();
    REQUIRE(rig.kernel.waits() - waits <= 17u * static_cast<unsigned>(rig.options.budget));
  }
  CHECK(rig.all_delivered().empty());
  CHECK(rig.stats().watched == 30);
  rig.kernel.plan_nothing();
  rig.wake(notice::poller);
  rig.settle();
  for (pid_t pid : pids) CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("one child whose wait says EINTR for ever does not keep the others from being delivered") {
  core_rig rig;
  pid_t cursed = rig.born_watched();
  auto others = rig.born_watched(50);
  rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .pid = cursed, .times = for_ever});
  rig.end_all({cursed});
  rig.end_all(others);
  rig.wake(notice::sigchld);
  for (int sweeps = 0; sweeps < 200; ++sweeps) (void)rig.sweep();
  CHECK(rig.all_delivered().size() == others.size());
  CHECK(rig.delivered(cursed).empty());
  rig.kernel.plan_nothing();
  rig.wake(notice::poller);
  rig.settle();
  CHECK(rig.delivered(cursed).size() == 1);
}

TEST_CASE("ECHILD is lost: delivered once, with no status and no usage") {
  core_rig rig;
  pid_t pid = rig.born_watched();
  rig.end_all({pid});
  REQUIRE(rig.kernel.stolen(pid));
  rig.wake(notice::sigchld);
  rig.settle();
  CHECK(rig.delivered(pid).empty());  // a signal says nothing of a child that left no zombie
  rig.wake(notice::poller);
  rig.settle();
  rig.wake(notice::poller);
  rig.settle();
  CHECK(rig.delivered_once(pid) == child_exit{.pid = pid, .lost = true, .noticed_by = notice::poller});
  CHECK_FALSE(rig.delivered_once(pid).status);
  CHECK(rig.stats().reaped == 0);
  CHECK(rig.stats().watched == 0);
}

TEST_CASE("all children stolen at once are all delivered as lost") {
  core_rig rig;
  auto pids = rig.born_watched(500);
  rig.end_all(pids);
  for (pid_t pid : pids) REQUIRE(rig.kernel.stolen(pid));
  rig.wake(notice::poller);
  rig.settle(40);
  for (pid_t pid : pids) REQUIRE(rig.delivered_once(pid).lost);
}

TEST_CASE("a stop that comes through without WUNTRACED is no end and no change") {
  // A thread of ours that traces the child sees its stops whatever it asked for (Go #60321).
  core_rig rig;
  pid_t pid = rig.born_watched();
  rig.end_all({pid});
  rig.kernel.plan({.where = fake_call::wait4, .result = pid, .word = test::stopped_by(SIGTRAP)});
  rig.kernel.plan({.where = fake_call::wait4, .result = pid, .word = test::was_continued});
  for (int i = 0; i < 2; ++i) rig.find(notice::poller);
  CHECK(rig.all_delivered().empty());
  CHECK(rig.changes().empty());
  rig.find(notice::sigchld);
  CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("the stop of a child that this process traces is no end, and is left to the tracer") {
  core_rig rig;
  pid_t pid = 0;
  SUBCASE("of one that wants no changes") { pid = rig.born_watched(); }
  SUBCASE("of one that wants changes") {
    pid = rig.kernel.born();
    REQUIRE(rig.watch_changes(pid) == 0);
  }
  rig.kernel.traps(pid, SIGTRAP);
  for (notice who : {notice::sigchld, notice::poller, notice::sigchld}) {
    rig.wake(who);
    CHECK(rig.settle() <= 4);  // and spins nothing
  }
  CHECK(rig.kernel.is_trapped(pid));
  CHECK(rig.kernel.calls(fake_call::wait4) == 0);
  CHECK(rig.all_delivered().empty());
  CHECK(rig.changes().empty());
  rig.end_all({pid});
  rig.find(notice::sigchld);
  CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
}

TEST_CASE("odd answers leave the watch in place, spin nothing, and the true end comes later") {
  core_rig rig;
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
    rig.wake(who);
    CHECK(rig.settle() <= 4);
    CHECK(rig.kernel.waits() - waits <= 10);
  }
  CHECK(rig.all_delivered().empty());
  CHECK(rig.stats().watched == 2);
  CHECK(rig.watch(pid) == UV_EEXIST);  // the claim stands, too

  rig.kernel.plan_nothing();
  rig.wake(notice::sigchld);
  rig.settle();
  CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
  CHECK(rig.delivered(bystander).empty());
}

TEST_CASE("a zombie that is peeked and that wait4 does not give hides nobody behind it") {
  core_rig rig;
  pid_t cursed = rig.born_watched();
  auto others = rig.born_watched(20);
  rig.kernel.plan({.where = fake_call::wait4, .result = 0, .pid = cursed, .times = for_ever});
  rig.end_all({cursed});
  rig.end_all(others);
  rig.wake(notice::sigchld);
  rig.settle(20);
  for (pid_t pid : others) CHECK(rig.delivered(pid).size() == 1);
  auto waits = rig.kernel.waits();
  rig.wake(notice::sigchld);  // again first: this time straight to the round
  rig.settle(20);
  CHECK(rig.kernel.waits() - waits <= 3);
}

TEST_CASE("a peek that fails is no proof of anything: each of ours is asked") {
  core_rig rig;
  auto pids = rig.born_watched(20);
  rig.end_all(pids);
  rig.kernel.plan({.where = fake_call::waitid, .error = EINVAL});
  SUBCASE("EINTR") {
    rig.kernel.plan_nothing();
    rig.kernel.plan({.where = fake_call::waitid, .error = EINTR});
  }
  rig.wake(notice::sigchld);
  rig.settle();
  for (pid_t pid : pids) CHECK(rig.delivered(pid).size() == 1);
}

TEST_CASE("a peek that always fails leaves children to rounds, and ends") {
  core_rig rig;
  auto pids = rig.born_watched(20);
  rig.kernel.plan({.where = fake_call::waitid, .error = ENOSYS, .pid = -1, .times = for_ever});
  rig.end_all(pids);
  rig.wake(notice::sigchld);
  rig.settle(10);
  CHECK(rig.all_delivered().size() == 20);
  auto waits = rig.kernel.waits();
  CHECK_FALSE(rig.sweep());
  CHECK(rig.kernel.waits() == waits);
}

TEST_CASE("where waitid always fails nothing is collected unseen, and nothing spins") {
  core_rig rig;
  auto pids = rig.born_watched(20);
  rig.kernel.plan({.where = fake_call::waitid, .error = ENOSYS, .times = for_ever});
  rig.end_all(pids);
  for (notice who : {notice::sigchld, notice::poller}) {
    rig.wake(who);
    rig.settle(10);
  }
  CHECK(rig.all_delivered().empty());
  CHECK(rig.kernel.calls(fake_call::wait4) == 0);
  CHECK(rig.stats().watched == 20);
  rig.kernel.plan_nothing();
  rig.find(notice::poller);
  CHECK(rig.all_delivered().size() == 20);
}

TEST_CASE("errno that stands from before means nothing when wait4 says 0") {
  core_rig rig;
  pid_t pid = rig.born_watched();
  rig.end_all({pid});
  rig.kernel.plan({.where = fake_call::wait4, .error = ECHILD, .result = 0, .times = 4});
  rig.find(notice::poller);
  CHECK(rig.delivered(pid).empty());
  CHECK(rig.stats().lost == 0);
}

TEST_CASE("a stolen child is delivered as lost although exits never stop coming") {
  core_rig rig(with_budget(16));
  pid_t stolen = rig.born_watched();
  rig.end_all({stolen});
  REQUIRE(rig.kernel.stolen(stolen));
  rig.wake(notice::poller);
  for (int sweeps = 0; sweeps < 500 && rig.delivered(stolen).empty(); ++sweeps) {
    rig.end_all(rig.born_watched(16));  // as many as a sweep may collect, before each
    rig.wake(notice::sigchld);
    if (sweeps % 100 == 0) rig.wake(notice::poller);
    (void)rig.sweep();
  }
  CHECK(rig.delivered(stolen).size() == 1);
  rig.settle();
}
