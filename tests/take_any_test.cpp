// options.sole_parent against the scripted kernel: what an orphan costs, and what wait4(-1) may say that is
// no orphan's end.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "support/core_rig.hpp"

using std::chrono::milliseconds;
using test::core_rig;
using test::exited_with;
using test::fake_call;
using test::known_by;
using test::owner;
using test::with_budget;
using uvreap::child_exit;
using uvreap::notice;

namespace {

uvreap::options sole_parent(std::vector<child_exit>* unclaimed, int budget = 64) {
  auto options = with_budget(budget);
  options.children = uvreap::scope::any();
  options.sole_parent = true;
  if (unclaimed != nullptr) {
    options.on_unclaimed = [unclaimed](const child_exit& exit) { unclaimed->push_back(exit); };
  }
  return options;
}

std::vector<pid_t> end_orphans(core_rig& rig, int count) {
  std::vector<pid_t> pids;
  for (int i = 0; i < count; ++i) pids.push_back(rig.kernel.born(owner::foreign));
  rig.end_all(pids);
  return pids;
}

}  // namespace

TEST_CASE("an orphan costs one wait4, and the last one another") {
  std::vector<child_exit> unclaimed;
  core_rig rig(sole_parent(&unclaimed));
  rig.settle();  // what was there before
  auto wait4s = rig.kernel.calls(fake_call::wait4);
  auto waitids = rig.kernel.calls(fake_call::waitid);
  auto pids = end_orphans(rig, 300);
  rig.find(notice::sigchld);
  CHECK(rig.kernel.calls(fake_call::wait4) - wait4s == 301);
  CHECK(rig.kernel.calls(fake_call::waitid) == waitids);
  REQUIRE(unclaimed.size() == 300);
  for (std::size_t i = 0; i < pids.size(); ++i) {
    CHECK(unclaimed[i].pid == pids[i]);
    CHECK(unclaimed[i].status.raw() == test::word_of(pids[i]));
  }
  CHECK(rig.stats().unclaimed == 300);
  CHECK_FALSE(rig.stats().unclaimed_one_by_one);
}

TEST_CASE("they are taken under the budget, and the rest in the sweeps that follow") {
  std::vector<child_exit> unclaimed;
  core_rig rig(sole_parent(&unclaimed, 8));
  rig.settle();
  end_orphans(rig, 100);
  rig.wake(notice::sigchld);
  std::uint64_t before = 0;
  int sweeps = 0;
  while (rig.sweep()) {
    ++sweeps;
    CHECK(rig.stats().reaped - before <= 8);
    before = rig.stats().reaped;
  }
  CHECK(sweeps >= 100 / 8);
  CHECK(unclaimed.size() == 100);
}

TEST_CASE("a child that is watched is delivered by its watch alone, whoever finds it first") {
  for (known_by how : {known_by::held_pidfd, known_by::inode, known_by::start_time, known_by::number}) {
    std::vector<child_exit> unclaimed;
    core_rig rig(sole_parent(&unclaimed), how);
    rig.settle();
    auto orphans = end_orphans(rig, 20);
    auto watched = rig.born_watched(20);
    rig.end_all(watched);
    rig.find(notice::sigchld);
    for (pid_t pid : watched) CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
    CHECK(unclaimed.size() == orphans.size());
    CHECK(rig.stats().reaped == 40);
    CHECK(rig.stats().lost == 0);
    CHECK(rig.stats().watched == 0);
    for (pid_t pid : watched) {  // nothing claims the number any more
      rig.kernel.born_as(pid);
      REQUIRE(rig.watch(pid) == 0);
    }
  }
}

TEST_CASE("one that had ended before it was watched says so") {
  core_rig rig(sole_parent(nullptr));
  rig.settle();
  pid_t pid = rig.kernel.born();
  rig.kernel.ends(pid, exited_with(3));
  REQUIRE(rig.watch(pid) == 0);
  rig.find(notice::sigchld);
  CHECK(rig.delivered_once(pid).noticed_by == notice::already);
}

TEST_CASE("the number of one that is collected and not yet delivered may come back as an orphan's") {
  std::vector<child_exit> unclaimed;
  core_rig rig(sole_parent(&unclaimed));
  rig.settle();
  pid_t pid = rig.born_watched();
  rig.kernel.ends(pid, exited_with(1));
  rig.wake(notice::sigchld);
  CHECK(rig.sweep());  // collected
  rig.kernel.born_as(pid, owner::foreign);
  rig.kernel.ends(pid, exited_with(2));
  rig.find(notice::sigchld);
  CHECK(rig.delivered_once(pid).status.raw() == exited_with(1));
  REQUIRE(unclaimed.size() == 1);
  CHECK(unclaimed[0].status.raw() == exited_with(2));
}

TEST_CASE("EINTR is asked again, and a stop that a tracer should have had is no end") {
  std::vector<child_exit> unclaimed;
  core_rig rig(sole_parent(&unclaimed));
  rig.settle();
  pid_t pid = end_orphans(rig, 1)[0];
  rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .times = 20});
  rig.find(notice::sigchld);
  REQUIRE(unclaimed.size() == 1);
  CHECK(unclaimed[0].pid == pid);

  pid_t living = rig.born_watched();
  rig.kernel.plan(
      {.where = fake_call::wait4, .result = living, .word = test::stopped_by(SIGTRAP), .from = 1});
  end_orphans(rig, 1);
  rig.find(notice::sigchld);
  CHECK(rig.stats().watched == 1);
  CHECK(unclaimed.size() == 2);
}

TEST_CASE("a zombie that a termination keeps for the number of its group is not taken with the others") {
  std::vector<child_exit> unclaimed;
  core_rig rig(sole_parent(&unclaimed), known_by::start_time);  // no pidfd: the group is known by number
  rig.settle();
  pid_t leader = rig.kernel.born();
  rig.kernel.leads_group(leader);
  pid_t survivor = rig.kernel.born_in_group(leader);
  REQUIRE(rig.watch(leader) == 0);
  REQUIRE(rig.core->terminate(leader, milliseconds(1000)) == 0);
  rig.kernel.ends(leader, SIGTERM);
  auto find = [&](milliseconds passing) {
    rig.kernel.time_passes(passing);
    rig.find(notice::sigchld);
  };
  find(milliseconds(50));
  CHECK(rig.delivered_once(leader).status.raw() == SIGTERM);
  end_orphans(rig, 3);
  find(milliseconds(50));
  CHECK(rig.kernel.is_zombie(leader));
  find(milliseconds(1000));
  CHECK(rig.kernel.signals_of(survivor) == std::vector<int>{SIGTERM, SIGCONT, SIGKILL});
  find(milliseconds(50));
  CHECK_FALSE(rig.kernel.exists(leader));
  CHECK(unclaimed.size() == 3);
  CHECK(rig.stats().reaped == 4);

  auto waitids = rig.kernel.calls(fake_call::waitid);  // and then as before
  end_orphans(rig, 3);
  find(milliseconds(0));
  CHECK(unclaimed.size() == 6);
  CHECK(rig.kernel.calls(fake_call::waitid) == waitids);
}
