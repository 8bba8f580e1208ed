// any() by itself: one in a process, children that nobody claims in time, a process without /proc, and what
// it costs.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "support/loop_handle.hpp"
#include "support/orphans.hpp"
#include "support/own_process.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using test::place;
using uvreap::child_exit;

namespace {

constexpr milliseconds graces[] = {milliseconds(0), milliseconds(100)};

}  // namespace

TEST_CASE("a second any() in the process is UV_EBUSY while there is one, and others watch beside it") {
  uv_loop_t loop;
  uv_loop_init(&loop);
  {
    test::stage stage(test::any_options(milliseconds(0), nullptr));
    uvreap::reaper second(loop, test::any_options(milliseconds(0), nullptr));
    CHECK(second.start() == UV_EBUSY);
    CHECK(second.start() == UV_EBUSY);  // it took nothing, and gave nothing back that is not its own
    uvreap::reaper watching(loop, test::options_of_this_run());
    CHECK(watching.start() == 0);
    CHECK(watching.close() == 0);
    CHECK(stage.reaper.close() == 0);
    CHECK(second.start() == 0);
    CHECK(second.close() == 0);
    CHECK(stage.reaper.start() == 0);  // and back
    while (uv_run(&loop, UV_RUN_NOWAIT) != 0) {
    }
  }
  CHECK(uv_loop_close(&loop) == 0);
  { test::stage destroyed(test::any_options(milliseconds(0), nullptr)); }
  test::stage stage(test::any_options(milliseconds(0), nullptr));
}

TEST_CASE("an any() with options that are no good is refused, and stands in nobody's way") {
  uv_loop_t loop;
  uv_loop_init(&loop);
  auto bad = test::any_options(milliseconds(-1), nullptr);
  {
    uvreap::reaper reaper(loop, bad);
    CHECK(reaper.start() == UV_EINVAL);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
  test::stage stage(test::any_options(milliseconds(0), nullptr));
}

TEST_CASE("the longest grace that can be written down is for ever") {
  std::vector<child_exit> told;
  test::stage stage(test::any_options(milliseconds::max(), &told));
  pid_t pid = test::make_child_exiting(1);
  test::wait_until_ended(pid);
  stage.run_for(milliseconds(200));
  CHECK(told.empty());
  CHECK(::waitpid(pid, nullptr, 0) == pid);
}

TEST_CASE("watch() of an unclaimed zombie in its grace is told by the watch, and by nothing else") {
  std::vector<child_exit> unclaimed;
  test::stage stage(test::any_options(std::chrono::seconds(2), &unclaimed));
  pid_t pid = test::make_child_exiting(8);
  test::wait_until_ended(pid);
  stage.run_for(milliseconds(100));
  CHECK(unclaimed.empty());
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  stage.run_until([&] { return told.size() == 1; });
  CHECK(told[0].status.exit_code() == 8);
  CHECK(told[0].noticed_by == uvreap::notice::already);
  stage.run_for(milliseconds(50));
  CHECK(unclaimed.empty());
  CHECK(stage.reaper.stats().unclaimed == 0);
}

TEST_CASE("closing the reaper inside on_unclaimed tells nobody more, and the rest stays to be waited for") {
  test::apart(place::subreaper, [] {
    int told = 0;
    uvreap::reaper* reaper = nullptr;
    auto options = test::any_options(milliseconds(0), nullptr);
    options.on_unclaimed = [&](const child_exit&) {
      ++told;
      CHECK(reaper->close() == 0);
    };
    test::stage stage(options);
    reaper = &stage.reaper;
    test::make_child_exiting(0);
    stage.run_until([&] { return told == 1; });
    pid_t later = test::make_child_exiting(0);
    stage.run_for(milliseconds(100));
    CHECK(told == 1);
    CHECK(::waitpid(later, nullptr, 0) == later);
  });
}

TEST_CASE("an empty on_unclaimed reaps all the same") {
  for (milliseconds grace : graces) {
    test::stage stage(test::any_options(grace, nullptr));
    for (int i = 0; i < 50; ++i) test::make_child_exiting(0);
    stage.run_until([] { return test::children().empty(); });
    CHECK(stage.reaper.stats().unclaimed == 50);
  }
}

TEST_CASE("without /proc orphans are told one after another, also those behind a child that is watched") {
  for (milliseconds grace : graces) {
    bool ran = test::apart(place::pid_1, [grace] {
      std::vector<child_exit> told;
      test::stage stage(test::any_options(grace, &told));
      test::orphans orphans(10, milliseconds(0));
      test::gate gate;
      int watched_told = 0;
      for (int i = 0; i < 5; ++i) {
        pid_t pid = 0;
        auto wait = [&] { return gate.wait(), 0; };
        REQUIRE(stage.reaper.fork(&pid, wait, [&](const child_exit&) { ++watched_told; }) == 0);
      }
      orphans.make();
      test::lose_proc();
      gate.open(5);
      orphans.let_end();
      orphans.wait_until_all_ended();
      stage.run_until([&] { return told.size() == 10 && watched_told == 5; });
      CHECK(stage.reaper.stats().unclaimed_one_by_one);
      test::find_proc_again();
      orphans.check(told);

      test::make_child_exiting(0);
      stage.run_until([&] { return told.size() == 11; });
      CHECK_FALSE(stage.reaper.stats().unclaimed_one_by_one);
    });
    if (!ran) MESSAGE("SKIP: no pid namespace");
  }
}

TEST_CASE("without /proc a child that is left alone stays left alone") {
  for (milliseconds grace : graces) {
    bool ran = test::apart(place::pid_1, [grace] {
      std::vector<child_exit> told;
      test::stage stage(test::any_options(grace, &told));
      test::gate gate;
      pid_t left = test::make_child([&] { return gate.wait(), 0; });
      REQUIRE(stage.reaper.exclude(left) == 0);
      test::lose_proc();
      pid_t left_without = test::make_child([&] { return gate.wait(), 0; });
      REQUIRE(stage.reaper.exclude(left_without) == 0);
      gate.open(2);
      stage.run_for(grace + milliseconds(200));
      CHECK(told.empty());
      test::find_proc_again();
      stage.run_for(grace + milliseconds(200));
      CHECK(told.empty());
      CHECK(::waitpid(left, nullptr, 0) == left);
      CHECK(::waitpid(left_without, nullptr, 0) == left_without);
    });
    if (!ran) MESSAGE("SKIP: no pid namespace");
  }
}

TEST_CASE("under the /proc of another pid namespace, whose numbers are others, orphans are told too") {
  for (milliseconds grace : graces) {
    bool ran = test::apart(place::pid_1_foreign_proc, [grace] {
      std::vector<child_exit> told;
      test::stage stage(test::any_options(grace, &told));
      test::orphans orphans(10);
      orphans.make();
      test::gate gate;
      pid_t left = test::make_child([&] { return gate.wait(), 0; });
      REQUIRE(stage.reaper.exclude(left) == 0);
      orphans.let_end();
      stage.run_until([&] { return told.size() == 10; });
      CHECK(stage.reaper.stats().unclaimed_one_by_one);
      gate.open();
      stage.run_for(grace + milliseconds(200));
      orphans.check(told);
      CHECK(::waitpid(left, nullptr, 0) == left);
      REQUIRE(stage.reaper.close() == 0);
      test::find_proc_again();
    });
    if (!ran) MESSAGE("SKIP: no pid namespace");
  }
}

TEST_CASE("a resting any() turns the loop at most once or twice for each rest of the poller") {
  if (test::pumped()) {
    MESSAGE("SKIP: a pumped loop never rests");
    return;
  }
  for (milliseconds grace : graces) {
    auto options = test::any_options(grace, nullptr);
    options.poll_every = milliseconds(100);
    test::stage stage(options);
    test::gate gate;
    pid_t living = test::make_child([&] { return gate.wait(), 0; });
    pid_t left = test::make_child_exiting(0);
    REQUIRE(stage.reaper.exclude(left) == 0);  // a zombie that stays must not make it restless
    stage.run_for(milliseconds(300));
    int slept = 0;  // turns that would have slept
    auto counter =
        test::on_prepare(stage.loop, [&] { slept += uv_backend_timeout(&stage.loop) != 0 ? 1 : 0; });
    stage.run_for(milliseconds(1000));
    if (test::poller_alone()) CHECK(slept >= 5);  // else the rest grows: resting_test.cpp
    CHECK(slept >= 1);
    CHECK(slept <= 12);  // ten, and the end of the second
    counter.reset();
    CHECK(::waitpid(left, nullptr, 0) == left);
    gate.open();
    CHECK(::waitpid(living, nullptr, 0) == living);
  }
}
