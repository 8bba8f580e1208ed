// The exit of a child as the result of co_await.
#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>
#include <utility>
#include <vector>

#include "support/stage.hpp"
#include "support/waiting.hpp"

using test::waiting;
using uvreap::exit_result;

namespace {

waiting wait_for(uvreap::reaper& reaper, pid_t pid, std::vector<exit_result>& results) {
  results.push_back(co_await reaper.exit_of(pid));
}

}  // namespace

TEST_CASE("co_await gives the exit of a child that lives, and of one that ended long ago") {
  test::stage stage;
  std::vector<exit_result> results;
  test::gate gate;
  pid_t alive = test::make_child([&] { return gate.wait(), 5; });
  pid_t ended = test::make_child_exiting(6);
  test::wait_until_ended(ended);
  waiting first = wait_for(stage.reaper, alive, results);
  waiting second = wait_for(stage.reaper, ended, results);
  CHECK(results.empty());
  stage.run_until([&] { return second.done(); });
  gate.open();
  stage.run_until([&] { return first.done(); });
  REQUIRE(results.size() == 2);
  CHECK(results[0].error == 0);
  CHECK(results[0].exit.status.exit_code() == 6);
  CHECK(results[0].exit.noticed_by == uvreap::notice::already);
  CHECK(results[1].exit.pid == alive);
  CHECK(results[1].exit.status.exit_code() == 5);
}

TEST_CASE("a reserved child is told to the coroutine that comes for it, before and after its end") {
  test::stage stage;
  std::vector<exit_result> results;
  for (bool wait_first : {false, true}) {
    pid_t pid = 0;
    REQUIRE(stage.reaper.fork(&pid, [] { return 7; }, {}) == 0);
    if (wait_first) stage.run_until([&] { return stage.reaper.stats().watched == 0; });
    waiting one = wait_for(stage.reaper, pid, results);
    stage.run_until([&] { return one.done(); });
    REQUIRE(results.size() == 1);
    CHECK(results[0].exit.status.exit_code() == 7);
    results.clear();
  }
}

TEST_CASE("what cannot be watched goes on at once, with the error") {
  test::stage stage;
  std::vector<exit_result> results;
  CHECK(wait_for(stage.reaper, ::getpid(), results).done());
  CHECK(wait_for(stage.reaper, -1, results).done());
  REQUIRE(results.size() == 2);
  CHECK(results[0].error == UV_ESRCH);
  CHECK(results[1].error == UV_EINVAL);
}

TEST_CASE("a coroutine that is destroyed while it waits cancels: the child is reaped, and the loop is free") {
  test::stage stage;
  std::vector<exit_result> results;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 1; });
  waiting one = wait_for(stage.reaper, pid, results);
  one.destroy();
  stage.run_dry();  // a forgotten child does not hold it
  gate.open();
  stage.run_until([] { return test::children().empty(); });
  CHECK(results.empty());
}

TEST_CASE("a coroutine goes on with UV_ECANCELED when its watch ends without an exit") {
  std::vector<exit_result> results;
  test::gate gate;
  test::stage stage;
  std::vector<pid_t> pids;
  for (int i = 0; i < 4; ++i) pids.push_back(test::make_child([&] { return gate.wait(), 1; }));
  std::vector<waiting> coroutines;
  for (pid_t pid : pids) coroutines.push_back(wait_for(stage.reaper, pid, results));
  REQUIRE(stage.reaper.release(pids[0]) == 0);
  CHECK(results.size() == 1);
  REQUIRE(stage.reaper.detach(pids[1]) == 0);
  CHECK(results.size() == 2);
  SUBCASE("by close") { REQUIRE(stage.reaper.close() == 0); }
  SUBCASE("by the end of the reaper") { stage.destroy_reaper(); }
  REQUIRE(results.size() == 4);
  for (const exit_result& result : results) CHECK(result.error == UV_ECANCELED);
  for (const waiting& one : coroutines) CHECK(one.done());
  gate.open(4);
  test::clean_up_children();
}

TEST_CASE("an exception from a coroutine stays in it") {
  test::stage stage;
  pid_t pid = test::make_child_exiting(0);
  auto throwing = [](uvreap::reaper& reaper, pid_t child) -> waiting {
    (void)co_await reaper.exit_of(child);
    throw 1;
  };
  waiting one = throwing(stage.reaper, pid);
  stage.run_until([&] { return one.done(); });
  CHECK(one.threw());
}

TEST_CASE("a coroutine that makes and awaits a thousand children, one after another") {
  test::stage stage;
  int told = 0;
  auto chain = [&](uvreap::reaper& reaper) -> waiting {
    for (int i = 0; i < 1000; ++i) {
      auto [error, exit] = co_await reaper.exit_of(test::make_child_exiting(i));
      if (error == 0 && exit.status.exit_code() == (i & 0xff)) ++told;
    }
  };
  if (test::poller_alone()) {
    MESSAGE("SKIP: each child would wait for the poller");
    return;
  }
  waiting one = chain(stage.reaper);
  stage.run_until([&] { return one.done(); });
  CHECK(told == 1000);
}
