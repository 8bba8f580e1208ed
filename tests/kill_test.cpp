// Signals through the reaper: they reach the child that is watched, or nobody.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <map>
#include <vector>

#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

TEST_CASE("kill reaches a living child, and signal 0 only asks") {
  test::stage stage;
  test::gate gate;
  std::vector<child_exit> told;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  CHECK(stage.reaper.kill(pid, 0) == 0);
  stage.run_for(milliseconds(30));
  CHECK(told.empty());
  CHECK(stage.reaper.kill(pid, SIGUSR1) == 0);
  stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].status.raw() == test::killed_by(SIGUSR1));
}

TEST_CASE("kill reaches forgotten and reserved children too") {
  test::stage stage;
  test::gate gate;
  pid_t forgotten = test::make_child([&] { return gate.wait(), 3; });
  pid_t reserved = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(forgotten, [](const child_exit&) { FAIL_CHECK("told"); }) == 0);
  REQUIRE(stage.reaper.detach(forgotten) == 0);
  REQUIRE(stage.reaper.watch(reserved, uvreap::callback{}) == 0);
  CHECK(stage.reaper.kill(forgotten, SIGKILL) == 0);
  CHECK(stage.reaper.kill(reserved, SIGKILL) == 0);
  stage.run_until([&] { return stage.reaper.stats().reaped == 2; });
  CHECK(stage.reaper.kill(reserved, SIGKILL) == UV_ESRCH);
}

TEST_CASE("a zombie that is not told yet takes a signal in silence, and its status stands") {
  test::stage stage;
  std::vector<child_exit> told;
  pid_t pid = test::make_child_exiting(5);
  test::wait_until_ended(pid);
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  CHECK(stage.reaper.kill(pid, SIGKILL) == 0);
  CHECK(stage.reaper.kill(pid, 0) == 0);
  stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].status.raw() == test::exited_with(5));
}

TEST_CASE("kill after the exit was told is UV_ESRCH, inside its callback too") {
  test::stage stage;
  int answer_inside = 0;
  bool told = false;
  pid_t pid = test::make_child_exiting(5);
  auto tell = [&](const child_exit& exit) {
    answer_inside = stage.reaper.kill(exit.pid, SIGKILL);
    told = true;
  };
  REQUIRE(stage.reaper.watch(pid, tell) == 0);
  stage.run_until([&] { return told; });
  CHECK(answer_inside == UV_ESRCH);
  CHECK(stage.reaper.kill(pid, SIGKILL) == UV_ESRCH);
}

TEST_CASE("kill of a child whose status somebody else took is UV_ESRCH, and it is told as lost") {
  test::stage stage;
  std::vector<child_exit> told;
  pid_t pid = test::make_child_exiting(5);
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
  CHECK(stage.reaper.kill(pid, SIGKILL) == UV_ESRCH);
  CHECK(told.empty());
  stage.run_until([&] { return !told.empty(); }, milliseconds(1000));
  CHECK(told[0].lost != told[0].recovered);  // the kernel may still tell it, on the rung pidfd
  CHECK(told[0].status == (told[0].lost ? uvreap::wait_status() : uvreap::wait_status(test::exited_with(5))));
}

// 2 000 children that end by themselves at about the moment they are killed. Each is told once, and the
// status is one of the two truths: where kill said UV_ESRCH no signal went, so there it can only be the exit.
TEST_CASE("kill races with the exit 2 000 times: one telling each, with one of the two truths") {
  constexpr int count = 2000;
  constexpr int at_once = 40;
  test::stage stage;
  std::map<pid_t, int> answers;
  int told = 0;
  int killed = 0;
  int wrong = 0;
  auto tell = [&](const child_exit& exit) {
    ++told;
    bool by_signal = exit.status.raw() == test::killed_by(SIGKILL);
    killed += by_signal ? 1 : 0;
    bool true_status = exit.status.raw() == test::exited_with(7) || (by_signal && answers[exit.pid] == 0);
    wrong += true_status && answers.erase(exit.pid) == 1 ? 0 : 1;
  };
  for (int made = 0; made < count; made += at_once) {
    std::vector<pid_t> pids(at_once);
    for (pid_t& pid : pids) {
      REQUIRE(stage.reaper.fork(
                  &pid, [] { return 7; }, tell) == 0);
      answers[pid] = 0;
    }
    if (made % 3 == 0) stage.turn();
    for (pid_t pid : pids) {
      int answer = stage.reaper.kill(pid, SIGKILL);
      CHECK((answer == 0 || answer == UV_ESRCH));
      if (answers.contains(pid)) answers[pid] = answer;
    }
    stage.run_until([&] { return told == made + at_once; });
  }
  CHECK(told == count);
  CHECK(wrong == 0);
  CHECK(answers.empty());
  MESSAGE("killed before they exited: ", killed, " of ", count);
}
