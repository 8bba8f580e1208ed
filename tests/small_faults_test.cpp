// Small promises, each once broken: what a posted watch says, a budget without an end, reserved children that
// are counted, and more reapers than fit into a byte.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "support/stage.hpp"
#include "support/younger.hpp"

using std::chrono::microseconds;
using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

struct listener {
  std::vector<child_exit> told;
  [[nodiscard]] uvreap::callback callback() {
    return [this](const child_exit& exit) { told.push_back(exit); };
  }
  [[nodiscard]] bool heard() const { return !told.empty(); }
};

}  // namespace

TEST_CASE("post_watch of a child that is watched already is UV_EEXIST and not lost, and the watch goes on") {
  for (bool by_another : {false, true}) {
    CAPTURE(by_another);
    test::stage stage;
    uvreap::reaper other(stage.loop, test::options_of_this_run());
    REQUIRE(other.start() == 0);
    listener watched;
    listener posted;
    test::gate gate;
    pid_t pid = test::make_child([&] { return gate.wait(), 3; });
    REQUIRE(stage.reaper.watch(pid, watched.callback()) == 0);
    (by_another ? other : stage.reaper).post_watch(pid, posted.callback());
    stage.run_until([&] { return posted.heard(); });
    CHECK(posted.told[0].pid == pid);
    CHECK(posted.told[0].error == UV_EEXIST);
    CHECK_FALSE(posted.told[0].lost);
    CHECK_FALSE(posted.told[0].recovered);
    CHECK(posted.told[0].status == uvreap::wait_status{});
    CHECK(stage.reaper.stats().lost + other.stats().lost == 0);
    CHECK_FALSE(watched.heard());
    gate.open();
    stage.run_until([&] { return watched.heard(); });
    CHECK(watched.told[0].error == 0);
    CHECK(watched.told[0].status.raw() == test::exited_with(3));
    CHECK(posted.told.size() == 1);
  }
}

TEST_CASE("post_watch of what is no child of ours is UV_ESRCH and lost") {
  test::stage stage;
  pid_t gone = test::make_child_exiting(0);
  REQUIRE(::waitpid(gone, nullptr, 0) == gone);
  for (pid_t number : {gone, ::getpid()}) {
    listener posted;
    stage.reaper.post_watch(number, posted.callback());
    stage.run_until([&] { return posted.heard(); });
    CHECK(posted.told[0].error == UV_ESRCH);
    CHECK(posted.told[0].lost);
  }
}

TEST_CASE("a posted watch that is taken has no error") {
  test::stage stage;
  listener posted;
  stage.reaper.post_watch(test::make_child_exiting(4), posted.callback());
  stage.run_until([&] { return posted.heard(); });
  CHECK(posted.told[0].error == 0);
  CHECK_FALSE(posted.told[0].lost);
  CHECK(posted.told[0].status.raw() == test::exited_with(4));
}

TEST_CASE("a budget_time without an end ends no sweep") {
  for (auto time :
       {microseconds::max(), microseconds::max() - microseconds(1), microseconds(1'000'000'000'000'000)}) {
    auto options = test::options_of_this_run();
    options.budget = 1000;
    options.budget_time = time;
    test::stage stage(options);
    int told = 0;
    for (int i = 0; i < 200; ++i) {
      pid_t pid = test::make_child_exiting(0);
      test::wait_until_ended(pid);
      REQUIRE(stage.reaper.watch(pid, [&](const child_exit&) { ++told; }) == 0);
    }
    for (int turns = 0; turns < 4; ++turns) stage.turn();
    CHECK(told == 200);
    stage.run_until([&] { return told == 200; });
    CHECK(stage.reaper.stats().budget_spent_turns == 0);
  }
}

TEST_CASE(
    "reserved children are counted until a watch() takes them or the reaper is closed, living or collected") {
  test::stage stage;
  auto reserved = [&] { return stage.reaper.stats().reserved; };
  CHECK(reserved() == 0);
  test::gate gate;
  std::vector<pid_t> pids;
  for (int i = 0; i < 4; ++i) {
    pids.push_back(test::make_child([&] { return gate.wait(), 6; }));
    REQUIRE(stage.reaper.watch(pids.back(), uvreap::callback{}) == 0);
    CHECK(reserved() == pids.size());
  }
  listener listener;
  REQUIRE(stage.reaper.watch(pids[0], listener.callback()) == 0);
  CHECK(reserved() == 3);
  gate.open(4);
  for (pid_t pid : pids) test::wait_until_ended(pid);
  stage.run_until([&] { return stage.reaper.stats().reaped == 4; });
  stage.run_until([&] { return listener.heard(); });
  CHECK(reserved() == 3);
  REQUIRE(stage.reaper.watch(pids[1], listener.callback()) == 0);
  CHECK(reserved() == 2);
  stage.run_until([&] { return listener.told.size() == 2; });
  CHECK(listener.told[1].status.raw() == test::exited_with(6));
  REQUIRE(stage.reaper.detach(pids[2]) == 0);
  CHECK(reserved() == 1);
  REQUIRE(stage.reaper.close() == 0);
  REQUIRE(stage.reaper.start() == 0);
  CHECK(reserved() == 0);
}

TEST_CASE("any number of reapers one after another are told apart by what they claim") {
  for (int between : {0, 1, 253, 254, 255, 256, 509, 510, 511}) {
    CAPTURE(between);
    auto options = test::options_of_this_run();
    options.poll_every = milliseconds(20);
    test::stage stage(options);
    uvreap::reaper first(stage.loop, options);
    REQUIRE(first.start() == 0);
    test::victim old(first, {.ref = false});
    for (int i = 0; i < between; ++i) {
      uvreap::reaper one(stage.loop, options);
      REQUIRE(one.start() == 0);
      REQUIRE(one.close() == 0);
      if (i % 16 == 0) stage.turn();
    }
    uvreap::reaper last(stage.loop, options);
    REQUIRE(last.start() == 0);
    listener none;
    CHECK(last.watch(old.pid, none.callback()) == UV_EEXIST);
    CHECK(last.release(old.pid) == UV_ESRCH);
    CHECK(last.watch(old.pid, none.callback()) == UV_EEXIST);

    old.be_stolen();
    test::younger child(old.pid, test::being::alive);
    if (!child.was_made()) return;
    listener listener;
    REQUIRE(last.watch(child.pid, listener.callback()) == 0);
    CHECK(first.release(old.pid) == 0);
    stage.run_for(milliseconds(30));
    child.let_end();
    stage.run_until([&] { return listener.heard(); });
    child.check_delivered(listener.told);
    CHECK_FALSE(none.heard());
  }
}
