// Many exits, few signals; and many signals, no exit. A SIGCHLD wakes, it does not count.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "support/crowd.hpp"
#include "support/loop_handle.hpp"
#include "support/signal_state.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

// Where SIGCHLD has to tell it all, the poller must not be there to help.
uvreap::options heard_by_one_notice() {
  auto options = test::options_of_this_run();
  if (!test::poller_alone()) options.poll_every = milliseconds(0);
  return options;
}

// Tells as a loop sees it: how many in each turn, and what else the loop served meanwhile.
struct service {
  std::map<int, int> told_in_turn;
  int turn = 0;
  int idles_meanwhile = 0;

  [[nodiscard]] int most_in_a_turn() const {
    int most = 0;
    for (auto [number, count] : told_in_turn) most = std::max(most, count);
    return most;
  }
};

// A flood without an exit: nothing may be told of children that live.
void flood(test::stage& stage, int batches, int signals_each) {
  for (int batch = 0; batch < batches; ++batch) {
    for (int i = 0; i < signals_each; ++i) ::raise(SIGCHLD);
    stage.turn();
  }
}

// As the kernel says it when a child exits, but it is us who say it: allowed towards one's own process.
void forge_exit_of(pid_t pid, int code) {
  siginfo_t info{};
  info.si_signo = SIGCHLD;
  info.si_code = CLD_EXITED;
  info.si_pid = pid;
  info.si_status = code;
  REQUIRE(::syscall(SYS_rt_sigqueueinfo, ::getpid(), SIGCHLD, &info) == 0);
}

}  // namespace

TEST_CASE("2, 10, 100 and 1000 exits behind one SIGCHLD are told once each") {
  for (int size : {2, 10, 100, 1000}) {
    CAPTURE(size);
    test::stage stage(heard_by_one_notice());
    test::crowd children(stage, size);
    auto before = stage.reaper.stats().wakeups_by_sigchld;
    {
      test::sigchld_blocked guard;
      children.end();
    }
    children.check_each_told_once();
    auto heard = stage.reaper.stats().wakeups_by_sigchld - before;
    CHECK(heard == (test::hears_sigchld() ? 1 : 0));  // it really was one
  }
}

TEST_CASE("exits that land while callbacks of a pass run are not stranded") {
  test::stage stage(heard_by_one_notice());
  test::crowd children(stage, 60);
  std::size_t ended = 0;
  auto end_next = [&] {
    if (ended == children.pids().size()) return;
    ++ended;
    children.end_one();
  };
  children.on_told = end_next;
  end_next();
  children.check_each_told_once();
}

TEST_CASE("exits that land at any moment of a pass are not stranded") {
  test::stage stage(heard_by_one_notice());
  test::crowd children(stage, 1000);
  std::thread ender([&] {
    for (int i = 0; i < children.size(); ++i) {
      children.let_one_go();
      if (i % 7 == 0) test::busy_wait(std::chrono::microseconds(i % 50));
    }
  });
  bool all = stage.turn_until([&] { return children.complete(); }, milliseconds(20000));
  ender.join();
  CHECK(all);
  children.check_each_told_once();
}

TEST_CASE(
    "100 000 SIGCHLD without an exit tell nothing, cost one pass a turn, and the exit after them is told") {
  if (!test::hears_sigchld()) {
    MESSAGE("SKIP: nothing listens to SIGCHLD in this mode");
    return;
  }
  test::stage stage(heard_by_one_notice());
  test::crowd children(stage, 100);
  auto before = stage.reaper.stats();
  constexpr int turns = 101;
  flood(stage, turns - 1, 500);
  flood(stage, 1, 50000);  // more than libuv's signal pipe holds: what is too many is dropped
  auto after = stage.reaper.stats();
  CHECK(children.told() == 0);
  CHECK(after.reaped + after.lost == 0);
  CHECK(after.wakeups_by_sigchld - before.wakeups_by_sigchld > turns);  // the flood did arrive
  CHECK(after.sweeps - before.sweeps <= turns);
  CHECK(after.sigchld == uvreap::sigchld_health::healthy);
  children.end();
  children.check_each_told_once();
}

TEST_CASE("an exit that is told while libuv's signal pipe is full is not lost") {
  if (!test::hears_sigchld()) {
    MESSAGE("SKIP: nothing listens to SIGCHLD in this mode");
    return;
  }
  test::stage stage(heard_by_one_notice());
  test::crowd children(stage, 20);
  for (int i = 0; i < 50000; ++i) ::raise(SIGCHLD);
  children.end();
  children.check_each_told_once();
}

TEST_CASE("what a forged SIGCHLD says of a child is not believed") {
  if (!test::hears_sigchld()) {
    MESSAGE("SKIP: nothing listens to SIGCHLD in this mode");
    return;
  }
  test::stage stage(heard_by_one_notice());
  test::crowd children(stage, 3);
  auto before = stage.reaper.stats().wakeups_by_sigchld;
  union sigval value {};
  value.sival_int = children.pids()[1];
  REQUIRE(::sigqueue(::getpid(), SIGCHLD, value) == 0);
  stage.run_for(milliseconds(20));
  forge_exit_of(children.pids()[1], 99);
  stage.run_for(milliseconds(20));
  forge_exit_of(-1, 99);
  stage.run_for(milliseconds(20));
  CHECK(stage.reaper.stats().wakeups_by_sigchld == before + 3);
  CHECK(children.told() == 0);
  children.end();
  children.check_each_told_once();
}

TEST_CASE("ten tasks of ten children that end together, twenty times over, all get through") {
  test::stage stage(heard_by_one_notice());
  struct task {
    int round = 0;
    int living = 0;
  };
  std::vector<task> tasks(10);
  int told = 0;
  int wrong = 0;
  std::function<void(task&)> begin_round = [&](task& which) {
    test::gate together;
    which.living = 10;
    for (int i = 0; i < 10; ++i) {
      pid_t pid = test::make_child([&] { return together.wait(), which.round; });
      REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) {
        ++told;
        if (exit.status.raw() != test::exited_with(which.round)) ++wrong;
        if (--which.living == 0 && ++which.round < 20) begin_round(which);
      }) == 0);
    }
    together.open(10);
  };
  for (task& one : tasks) begin_round(one);
  stage.run_until([&] { return told == 2000; }, std::chrono::seconds(240));  // sanitizers fork slowly
  CHECK(wrong == 0);
  for (const task& one : tasks) CHECK(one.round == 20);
}

TEST_CASE(
    "a burst larger than the budget is told over several turns, and the loop serves others in between") {
  for (int budget : {1, 8}) {
    CAPTURE(budget);
    auto options = heard_by_one_notice();
    options.budget = budget;
    test::stage stage(options);
    test::crowd children(stage, 300);
    service seen;
    auto turns = test::on_prepare(stage.loop, [&] { ++seen.turn; });
    auto idle = test::on_idle(stage.loop, [&] {
      if (children.told() > 0 && !children.complete()) ++seen.idles_meanwhile;
    });
    int timers_meanwhile = 0;
    auto timer = test::after(stage.loop, std::chrono::hours(1), [&] { ++timers_meanwhile; });
    children.on_told = [&] {
      ++seen.told_in_turn[seen.turn];
      if (children.told() == 1) uv_timer_start(timer.get(), timer->timer_cb, 0, 0);  // due in the next turn
      if (children.complete()) CHECK(timers_meanwhile > 0);
    };

    children.end();
    children.check_each_told_once();
    CHECK(seen.most_in_a_turn() <= budget);
    int turns_of_telling = static_cast<int>(seen.told_in_turn.size());
    CHECK(turns_of_telling >= 300 / budget);
    CHECK(seen.idles_meanwhile >= turns_of_telling - 1);
    CHECK(stage.reaper.stats().budget_spent_turns >= static_cast<std::uint64_t>(300 / budget - 1));
  }
}

TEST_CASE("a burst within the budget leaves nothing for another turn") {
  auto options = heard_by_one_notice();
  options.budget = 1000;
  options.budget_time = std::chrono::seconds(10);
  test::stage stage(options);
  test::crowd children(stage, 300);
  children.end();
  children.check_each_told_once();
  CHECK(stage.reaper.stats().budget_spent_turns == 0);
}
