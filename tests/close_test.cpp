// The end of a reaper: nobody is told any more, the children are ours, and libuv lets go of every handle.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "support/apart.hpp"
#include "support/bare_loop.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

void not_to_be_told(const child_exit& exit) { FAIL_CHECK("told of ", exit.pid, " after the end"); }

int word_of(pid_t pid) {
  int word = -1;
  return ::waitpid(pid, &word, 0) == pid ? word : -1;
}

std::unique_ptr<uvreap::reaper> started(uv_loop_t& loop) {
  auto reaper = std::make_unique<uvreap::reaper>(loop, test::options_of_this_run());
  REQUIRE(reaper->start() == 0);
  return reaper;
}

}  // namespace

TEST_CASE("close with 100 live watches: none is told, and each child is ours to wait for") {
  test::stage stage;
  test::gate gate;
  std::vector<pid_t> pids;
  for (int i = 0; i < 100; ++i) {
    pids.push_back(test::make_child([&, i] { return gate.wait(), i; }));
    REQUIRE(stage.reaper.watch(pids.back(), not_to_be_told) == 0);
  }
  CHECK(stage.reaper.close() == 0);
  gate.open(100);
  for (pid_t pid : pids) test::wait_until_ended(pid);
  stage.run_for(milliseconds(100));
  for (int i = 0; i < 100; ++i) CHECK(word_of(pids[static_cast<std::size_t>(i)]) == test::exited_with(i));
}

TEST_CASE("close drops what is collected and untold, and leaves the zombies that no pass has seen") {
  test::stage stage;
  pid_t collected = test::make_child_exiting(1);
  test::wait_until_ended(collected);
  REQUIRE(stage.reaper.watch(collected, not_to_be_told) == 0);
  while (stage.reaper.stats().reaped == 0) stage.turn();
  pid_t unseen = test::make_child_exiting(2);
  test::wait_until_ended(unseen);
  REQUIRE(stage.reaper.watch(unseen, not_to_be_told) == 0);
  CHECK(stage.reaper.close() == 0);
  stage.run_for(milliseconds(60));
  CHECK(word_of(unseen) == test::exited_with(2));
  CHECK(::waitpid(collected, nullptr, 0) == -1);
}

TEST_CASE("close with a SIGCHLD that libuv has heard and the loop has not: everything is let go of") {
  test::bare_loop on;
  bool done = false;
  auto reaper = started(on.loop);
  pid_t pid = test::make_child_exiting(2);  // its signal lies in libuv's pipe: the loop does not turn
  test::wait_until_ended(pid);
  ::raise(SIGCHLD);
  REQUIRE(reaper->watch(pid, not_to_be_told) == 0);
  CHECK(reaper->close([&] { done = true; }) == 0);
  uv_run(&on.loop, UV_RUN_DEFAULT);
  CHECK(done);
  CHECK(word_of(pid) == test::exited_with(2));
  CHECK(uv_loop_alive(&on.loop) == 0);
}

TEST_CASE("done is called once, in a later turn, when the loop can be closed") {
  uv_loop_t loop;
  REQUIRE(uv_loop_init(&loop) == 0);
  int done = 0;
  int closed = -1;
  {
    auto reaper = started(loop);
    auto close_the_loop = [&] {
      ++done;
      // Not in the call itself, which is inside a close callback of libuv's, but nothing is left that could
      // stop it.
      uv_stop(&loop);
    };
    CHECK(reaper->close(close_the_loop) == 0);
    CHECK(done == 0);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(done == 1);
  closed = uv_loop_close(&loop);
  CHECK(closed == 0);
}

TEST_CASE("close again, and close before start, are 0 and call done too") {
  test::bare_loop on;
  int done = 0;
  auto finish = [&] { ++done; };
  uvreap::reaper reaper(on.loop, test::options_of_this_run());
  CHECK(reaper.close(finish) == 0);
  CHECK(reaper.close() == 0);
  CHECK(done == 0);
  uv_run(&on.loop, UV_RUN_DEFAULT);
  CHECK(done == 1);

  REQUIRE(reaper.start() == 0);
  CHECK(reaper.close(finish) == 0);
  CHECK(reaper.close(finish) == 0);  // while it is closing
  CHECK(done == 1);
  uv_run(&on.loop, UV_RUN_DEFAULT);
  CHECK(done == 3);

  CHECK(reaper.close(finish) == 0);  // long closed
  uv_run(&on.loop, UV_RUN_DEFAULT);
  CHECK(done == 4);
}

TEST_CASE("done comes too when the reaper is destroyed while it closes, and may close another") {
  test::bare_loop on;
  int done = 0;
  auto first = started(on.loop);
  auto second = started(on.loop);
  CHECK(first->close([&] { ++done, (void)second->close([&] { ++done; }); }) == 0);
  first.reset();
  uv_run(&on.loop, UV_RUN_DEFAULT);
  CHECK(done == 2);
}

TEST_CASE("done may start the reaper again") {
  test::bare_loop on;
  int told = 0;
  auto reaper = started(on.loop);
  pid_t pid = 0;
  auto again = [&] {
    CHECK(reaper->start() == 0);
    CHECK(reaper->fork(
              &pid, [] { return 0; }, [&](const child_exit&) { ++told; }) == 0);
  };
  CHECK(reaper->close(again) == 0);
  uv_run(&on.loop, UV_RUN_DEFAULT);
  CHECK(told == 1);
}

TEST_CASE("destruction without close is as good as close") {
  test::bare_loop on;
  pid_t pid = 0;
  {
    auto reaper = started(on.loop);
    REQUIRE(reaper->fork(
                &pid, [] { return 9; }, not_to_be_told) == 0);
  }
  uv_run(&on.loop, UV_RUN_DEFAULT);
  CHECK(word_of(pid) == test::exited_with(9));
}

TEST_CASE("2 000 times made, started and ended: no descriptor and no handle more") {
  test::bare_loop on;
  uv_run(&on.loop, UV_RUN_NOWAIT);
  int descriptors = 0;
  for (int i = 0; i < 2000; ++i) {
    auto reaper = started(on.loop);
    if (i % 2 == 0) CHECK(reaper->close() == 0);
    reaper.reset();
    uv_run(&on.loop, UV_RUN_DEFAULT);
    if (i == 0) descriptors = test::open_descriptors();  // the loop's own signal pipe stays with it
    if (uv_loop_alive(&on.loop) != 0) FAIL("a handle is left after ", i);
  }
  CHECK(test::open_descriptors() == descriptors);
}

TEST_CASE("children that ended while no reaper was there are found by the next") {
  test::bare_loop on;
  test::gate gate;
  std::vector<pid_t> pids;
  {
    auto first = started(on.loop);
    for (int i = 0; i < 10; ++i) {
      pids.push_back(test::make_child([&, i] { return gate.wait(), i; }));
      REQUIRE(first->watch(pids.back(), not_to_be_told) == 0);
    }
    CHECK(first->close() == 0);
    uv_run(&on.loop, UV_RUN_DEFAULT);
  }
  gate.open(10);
  for (pid_t pid : pids) test::wait_until_ended(pid);

  auto second = started(on.loop);
  int told = 0;
  for (int i = 0; i < 10; ++i) {
    auto tell = [&told, i](const child_exit& exit) { told += exit.status.exit_code() == i ? 1 : 100; };
    REQUIRE(second->watch(pids[static_cast<std::size_t>(i)], tell) == 0);
  }
  uv_run(&on.loop, UV_RUN_DEFAULT);
  CHECK(told == 10);
}

TEST_CASE("a reaper that was closed starts again, in the same turn too, with fresh counters") {
  test::stage stage;
  for (int i = 0; i < 20; ++i) {
    int told = 0;
    pid_t pid = 0;
    REQUIRE(stage.reaper.fork(
                &pid, [] { return 0; }, [&](const child_exit&) { ++told; }) == 0);
    stage.run_until([&] { return told == 1; });
    CHECK(stage.reaper.stats().reaped == 1);
    CHECK(stage.reaper.close() == 0);
    REQUIRE(stage.reaper.start() == 0);
    CHECK(stage.reaper.stats().reaped == 0);
  }
}

namespace {

// In a process apart, whose descriptors are all taken for a while. 0, or what does not hold.
int start_without_descriptors() {
  uv_loop_t loop;
  HOLDS(uv_loop_init(&loop) == 0);
  int told = 0;
  test::gate gate;
  // Made before, since a fork without a descriptor left aborts in the child: libuv makes its signal pipe anew
  // there.
  pid_t pid = test::make_child([&] { return gate.wait(), 4; });
  auto tell = [&](const child_exit& exit) { told += exit.status.exit_code(); };
  auto reaper = std::make_unique<uvreap::reaper>(loop, test::options_of_this_run());
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none{3, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  if (int error = reaper->start(); error != 0) {
    HOLDS(error == UV_EMFILE);
    HOLDS(reaper->watch(pid, tell) == UV_EINVAL);
    uv_run(&loop, UV_RUN_DEFAULT);
    HOLDS(uv_loop_alive(&loop) == 0);
    ::setrlimit(RLIMIT_NOFILE, &before);
    HOLDS(reaper->start() == 0);
  }
  HOLDS(reaper->watch(pid, tell) == 0);
  HOLDS(reaper->kill(pid, 0) == 0);  // proven by number, since no pidfd is to be had
  gate.open();
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(told == 4);
  reaper.reset();
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(uv_loop_close(&loop) == 0);
  return 0;
}

}  // namespace

// libuv 1.44 makes the loop's signal pipe in uv_loop_init, so there start needs no descriptor; a version that
// makes it with the first signal handle lets start fail.
TEST_CASE("a start that finds no descriptor left works, or fails with nothing half made and works later") {
  auto end = test::apart(start_without_descriptors);
  CHECK_MESSAGE(end.word == 0, end.said);
}
