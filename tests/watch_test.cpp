// Watching before the exit, long after it, and giving a watch up again.
#include <doctest/doctest.h>
#include <unistd.h>

#include <vector>

#include "support/stage.hpp"

using uvreap::child_exit;

TEST_CASE("a child that exits is told once, with its code") {
  test::stage stage;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  stage.run_for(std::chrono::milliseconds(50));
  CHECK(told.empty());  // it lives

  gate.open();
  stage.run_until([&] { return !told.empty(); });
  stage.run_for(std::chrono::milliseconds(50));
  REQUIRE(told.size() == 1);
  CHECK(told[0].pid == pid);
  CHECK(told[0].status.raw() == test::exited_with(3));
  CHECK_FALSE(told[0].lost);
  CHECK(told[0].noticed_by == test::usual_notice());
}

TEST_CASE("a child that ended long ago is told in the next turns, by nobody's signal") {
  test::stage stage;
  pid_t pid = test::make_child_exiting(9);
  test::wait_until_ended(pid);
  stage.run_for(std::chrono::milliseconds(50));  // its SIGCHLD has come and gone
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  CHECK(told.empty());  // never inside the call
  for (int turns = 0; turns < 3; ++turns) stage.turn();
  REQUIRE(told.size() == 1);
  CHECK(told[0].status.exit_code() == 9);
  CHECK(told[0].noticed_by == uvreap::notice::already);
}
