// exclude: a child that is somebody else's to wait for, as long as it is that child.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <vector>

#include "support/descriptors_left.hpp"
#include "support/orphans.hpp"
#include "support/own_process.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using test::place;
using uvreap::child_exit;

namespace {

constexpr milliseconds graces[] = {milliseconds(0), milliseconds(100)};

bool was_told(const std::vector<child_exit>& told, pid_t pid) {
  return std::any_of(told.begin(), told.end(), [pid](const child_exit& exit) { return exit.pid == pid; });
}

// The next fork in this pid namespace gets this number.
bool next_pid_is(pid_t pid) {
  std::ofstream last("/proc/sys/kernel/ns_last_pid");
  last << pid - 1 << std::flush;
  return last.good();
}

}  // namespace

TEST_CASE(
    "of twenty zombies at once the one that is left alone stays, and hides none of the other nineteen") {
  for (milliseconds grace : graces) {
    CHECK(test::one_of_three([grace] {
      std::vector<child_exit> told;
      test::stage stage(test::any_options(grace, &told));
      test::gate gate;
      std::vector<pid_t> pids;
      for (int i = 0; i < 20; ++i) pids.push_back(test::make_child([&] { return gate.wait(), 7; }));
      REQUIRE(stage.reaper.exclude(pids[0]) == 0);  // the eldest, so a peek would show it for ever
      gate.open(20);
      for (pid_t pid : pids) test::wait_until_ended(pid);
      test::stopwatch spent;
      stage.run_until([&] { return told.size() == 19; });
      bool in_time = spent.elapsed() < grace + milliseconds(100);
      stage.run_for(grace + milliseconds(50));
      CHECK_FALSE(was_told(told, pids[0]));
      CHECK(told.size() == 19);
      int word = 0;
      CHECK(::waitpid(pids[0], &word, 0) == pids[0]);
      CHECK(word == test::exited_with(7));
      return in_time;
    }));
  }
}

TEST_CASE("without exclude the same child is taken") {
  for (milliseconds grace : graces) {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(grace, &told));
    pid_t pid = test::make_child_exiting(7);
    stage.run_until([&] { return told.size() == 1; });
    CHECK(::waitpid(pid, nullptr, 0) == -1);
  }
}

TEST_CASE("exclude says what is wrong with a number, and changes nothing") {
  std::vector<child_exit> told;
  test::stage stage(test::any_options(milliseconds(0), &told));
  for (pid_t pid : {0, -1, INT_MIN}) CHECK(stage.reaper.exclude(pid) == UV_EINVAL);
  for (pid_t pid : {pid_t{1}, ::getpid(), ::getppid(), INT_MAX}) CHECK(stage.reaper.exclude(pid) == UV_ESRCH);

  test::gate gate;
  bool ended = false;
  pid_t pid = 0;
  auto wait = [&] { return gate.wait(), 0; };
  REQUIRE(stage.reaper.fork(&pid, wait, [&](const child_exit&) { ended = true; }) == 0);
  CHECK(stage.reaper.exclude(pid) == UV_EEXIST);
  gate.open();
  stage.run_until([&] { return ended; });
  CHECK(stage.reaper.exclude(pid) == UV_ESRCH);
  CHECK(told.empty());
}

TEST_CASE("a reaper of watched children has nothing to leave alone") {
  test::stage stage;
  pid_t pid = test::make_child_exiting(0);
  CHECK(stage.reaper.exclude(pid) == UV_EINVAL);
  CHECK(::waitpid(pid, nullptr, 0) == pid);
}

TEST_CASE("exclude may come twice, and ends with watch()") {
  for (milliseconds grace : graces) {
    std::vector<child_exit> unclaimed;
    test::stage stage(test::any_options(grace, &unclaimed));
    pid_t pid = test::make_child_exiting(3);
    CHECK(stage.reaper.exclude(pid) == 0);
    CHECK(stage.reaper.exclude(pid) == 0);
    stage.run_for(grace + milliseconds(100));
    CHECK(unclaimed.empty());
    std::vector<child_exit> told;
    REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
    stage.run_until([&] { return told.size() == 1; });
    CHECK(told[0].status.exit_code() == 3);
    CHECK(unclaimed.empty());
  }
}

TEST_CASE("a released child is left alone, dead or alive") {
  for (milliseconds grace : graces) {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(grace, &told));
    test::gate gate;
    auto never = [](const child_exit&) { FAIL("a released child is told"); };
    pid_t dead = test::make_child_exiting(4);
    pid_t alive = test::make_child([&] { return gate.wait(), 5; });
    test::wait_until_ended(dead);
    for (pid_t pid : {dead, alive}) {
      REQUIRE(stage.reaper.watch(pid, never) == 0);
      REQUIRE(stage.reaper.release(pid) == 0);
    }
    gate.open();
    test::wait_until_ended(alive);
    stage.run_for(grace + milliseconds(150));
    CHECK(told.empty());
    int word = 0;
    CHECK(::waitpid(dead, &word, 0) == dead);
    CHECK(word == test::exited_with(4));
    CHECK(::waitpid(alive, &word, 0) == alive);
    CHECK(word == test::exited_with(5));
  }
}

TEST_CASE("a child that is left alone is not taken while no descriptor is left to look at it") {
  for (milliseconds grace : graces) {
    test::apart(place::plain, [grace] {
      std::vector<child_exit> told;
      test::stage stage(test::any_options(grace, &told));
      test::gate gate;
      pid_t first = test::make_child([&] { return gate.wait(), 1; });
      REQUIRE(stage.reaper.exclude(first) == 0);
      stage.run_for(milliseconds(20));
      gate.open();
      test::wait_until_ended(first);
      {
        test::descriptors_left full(0);
        stage.run_for(grace + milliseconds(200));
      }
      CHECK(told.empty());
      pid_t second = test::make_child_exiting(2);  // and all is well again
      stage.run_until([&] { return told.size() == 1; });
      CHECK(told[0].pid == second);
      CHECK(::waitpid(first, nullptr, 0) == first);
    });
  }
}

// Its number comes back as an orphan's: whoever was left alone had been waited for, and this is somebody
// younger.
static void number_comes_back(milliseconds grace, bool released_after_the_theft) {
  std::vector<child_exit> told;
  test::stage stage(test::any_options(grace, &told));
  test::gate gate;
  pid_t number = test::make_child([&] { return gate.wait(), 1; });
  if (released_after_the_theft) {
    REQUIRE(stage.reaper.watch(number, [](const child_exit&) { FAIL("a released child is told"); }) == 0);
  } else {
    REQUIRE(stage.reaper.exclude(number) == 0);
  }
  ::usleep(50'000);  // the kernel counts start times in ticks of 10 ms
  gate.open();
  REQUIRE(::waitpid(number, nullptr, 0) == number);
  if (released_after_the_theft) REQUIRE(stage.reaper.release(number) == 0);

  test::gate orphan_may_end;
  pid_t parent = test::make_child([&] {
    if (!next_pid_is(number)) return 77;
    pid_t orphan = test::make_child([&] { return orphan_may_end.wait(), 9; });
    return orphan == number ? 0 : 76;
  });
  int word = 0;
  REQUIRE(::waitpid(parent, &word, 0) == parent);
  if (word == test::exited_with(77)) {
    MESSAGE("SKIP: the next pid cannot be chosen here");
    return;
  }
  REQUIRE(word == 0);
  stage.run_for(milliseconds(50));
  orphan_may_end.open();
  stage.run_until([&] { return told.size() == 1; });
  CHECK(told[0].pid == number);
  CHECK(told[0].status.exit_code() == 9);
}

TEST_CASE("a number that was left alone and comes back as an orphan's is told") {
  for (milliseconds grace : graces) {
    bool ran = test::apart(place::pid_1, [&] { number_comes_back(grace, false); });
    if (!ran) MESSAGE("SKIP: no pid namespace");
  }
}

TEST_CASE("a number that was released when its child was gone, and comes back as an orphan's, is told") {
  for (milliseconds grace : graces) {
    bool ran = test::apart(place::pid_1, [&] { number_comes_back(grace, true); });
    if (!ran) MESSAGE("SKIP: no pid namespace");
  }
}

TEST_CASE("many children that are left alone cost a pass no more than its budget") {
  auto stays_within_budget = [] {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(milliseconds(0), &told));
    test::gate gate;
    std::vector<pid_t> pids;
    for (int i = 0; i < 600; ++i) {
      pids.push_back(test::make_child([&] { return gate.wait(), 0; }));
      REQUIRE(stage.reaper.exclude(pids.back()) == 0);
    }
    for (int i = 0; i < 5; ++i) {
      test::make_child_exiting(0);
      stage.run_until([&] { return told.size() == static_cast<std::size_t>(i) + 1; });
    }
    auto longest = stage.reaper.stats().longest_sweep;
    gate.open(600);
    for (pid_t pid : pids) CHECK(::waitpid(pid, nullptr, 0) == pid);
    return longest < milliseconds(4);  // the budget is 0.5 ms; a look at each of them in one sweep is several
  };
  test::apart(place::plain, [&] { CHECK(test::one_of_three(stays_within_budget)); });
}
