// The making of a child as the result of co_await.
#include <doctest/doctest.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "support/spawns.hpp"
#include "support/waiting.hpp"

using test::waiting;
using uvreap::command;
using uvreap::exit_result;
using uvreap::spawn_result;
using uvreap::stdio;

namespace {

struct results {
  std::vector<spawn_result> spawned;
  std::vector<exit_result> ended;
};

waiting run(uvreap::reaper& reaper, command what, results& to) {
  auto made = co_await reaper.spawned(std::move(what));
  to.spawned.push_back(made);
  if (made.error == 0) to.ended.push_back(co_await reaper.exit_of(made.pid));
}

}  // namespace

TEST_CASE("co_await gives the pid of a command, and then its exit with what it wrote") {
  test::stage stage;
  results got;
  command speak = test::shell("echo text; exit 3");
  speak.capture(1000);
  waiting one = run(stage.reaper, speak, got);
  CHECK_FALSE(one.done());
  stage.run_dry();
  REQUIRE(one.done());
  CHECK_FALSE(one.threw());
  REQUIRE(got.spawned.size() == 1);
  REQUIRE(got.ended.size() == 1);
  CHECK(got.ended[0].error == 0);
  CHECK(got.ended[0].exit.pid == got.spawned[0].pid);
  CHECK(got.ended[0].exit.status.exit_code() == 3);
  CHECK(got.ended[0].exit.output.bytes == "text\n");
}

TEST_CASE("what cannot be spawned goes on with the error, at once where the call says it") {
  test::stage stage;
  results got;
  waiting sound = run(stage.reaper, {.argv = {"no-such-program-anywhere"}}, got);
  CHECK_FALSE(sound.done());
  stage.run_dry();
  CHECK(sound.done());
  CHECK_FALSE(sound.threw());
  CHECK(run(stage.reaper, {}, got).done());
  CHECK(got.spawned == std::vector<spawn_result>{{.error = UV_ENOENT}, {.error = UV_EINVAL}});
}

TEST_CASE("a coroutine that is destroyed while it waits cancels: not begun, it is never made") {
  test::stage stage;
  test::scratch_directory scratch;
  results got;
  command touch{.argv = {"true"}, .output = stdio::file(scratch / "made", O_WRONLY | O_CREAT)};
  {
    test::long_spawn before(stage.reaper);
    waiting one = run(stage.reaper, touch, got);
    one.destroy();
  }
  test::spawned_child after;
  REQUIRE(after.ask(stage.reaper, {.argv = {"true"}}) == 0);
  stage.run_until([&] { return after.has_ended(); });
  stage.run_dry();
  CHECK(::access((scratch / "made").c_str(), F_OK) != 0);
  CHECK(got.spawned.empty());
}

TEST_CASE("a coroutine that is destroyed while its child is being made leaves it detached") {
  test::stage stage;
  results got;
  {
    test::long_spawn slow;
    waiting one = run(stage.reaper, {.argv = {"true"}, .input = slow.gate()}, got);
    slow.wait_until_being_made();
  }
  stage.run_dry();
  stage.run_until([] { return test::children().empty(); });
  CHECK(got.spawned.empty());
  CHECK(stage.reaper.stats().reserved == 0);
}

TEST_CASE("a coroutine that waits may be destroyed where another one's start is told") {
  test::stage stage;
  results got;
  std::vector<waiting> others;
  int told = 0;
  auto destroy_others = [&](int, pid_t) {
    ++told;
    for (waiting& one : others) one.destroy();
  };
  REQUIRE(stage.reaper.spawn_async({.argv = {"true"}}, destroy_others, [](const uvreap::child_exit&) {}) ==
          0);
  for (int i = 0; i < 3; ++i) others.push_back(run(stage.reaper, {.argv = {"true"}}, got));
  stage.run_until([&] { return told == 1; });
  test::spawned_child after;  // told behind those that are made nevertheless
  REQUIRE(after.ask(stage.reaper, {.argv = {"true"}}) == 0);
  stage.run_until([&] { return after.has_ended() && stage.reaper.stats().watched == 0; });
  CHECK(got.spawned.empty());
}

TEST_CASE("a coroutine goes on with UV_ECANCELED when the reaper ends before its child is begun") {
  results got;
  test::stage stage;
  test::long_spawn before(stage.reaper);
  waiting one = run(stage.reaper, {.argv = {"true"}}, got);
  SUBCASE("by close") { REQUIRE(stage.reaper.close() == 0); }
  SUBCASE("by the destructor") { stage.destroy_reaper(); }
  CHECK(one.done());
  CHECK_FALSE(one.threw());
  CHECK(got.spawned == std::vector<spawn_result>{{.error = UV_ECANCELED}});
  before.open();
  stage.run_dry();
}
