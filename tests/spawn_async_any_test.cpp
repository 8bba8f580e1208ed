// any() beside spawning off the loop: the spawner's children are never taken for unclaimed ones.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <thread>

#include "support/own_process.hpp"
#include "support/spawns.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

uvreap::options any_options() {
  auto options = test::options_of_this_run();
  options.children = uvreap::scope::any();
  options.unclaimed_grace = milliseconds(0);
  return options;
}

int start_any_elsewhere() {
  int error = 0;
  std::thread([&] {
    uv_loop_t loop;
    uv_loop_init(&loop);
    {
      uvreap::reaper any(loop, any_options());
      error = any.start();
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  }).join();
  return error;
}

}  // namespace

TEST_CASE("any() on the main thread, without grace, never takes a child that is made off the loop") {
  (void)test::apart(test::place::subreaper, [] {
    auto options = any_options();
    int unclaimed = 0;
    options.on_unclaimed = [&](const child_exit&) { ++unclaimed; };
    test::stage stage(options);
    std::deque<test::spawned_child> all(300);
    for (auto& one : all) REQUIRE(one.ask(stage.reaper, {.argv = {"true"}}) == 0);
    stage.run_until([&] { return std::ranges::all_of(all, [](auto& one) { return one.has_ended(); }); });
    for (auto& one : all) {
      CHECK(one.was_told_once());
      CHECK_FALSE(one.ended[0].lost);
    }
    CHECK(unclaimed == 0);
    CHECK(stage.reaper.stats().lost == 0);
  });
}

TEST_CASE(
    "any() on another thread cannot begin where a child was made off the loop; on the main thread it can") {
  (void)test::apart(test::place::plain, [] {
    CHECK(start_any_elsewhere() == 0);
    test::stage stage;
    test::spawned_child child;
    REQUIRE(child.ask(stage.reaper, {.argv = {"true"}}) == 0);
    stage.run_dry();
    CHECK(start_any_elsewhere() == UV_ENOTSUP);
    uvreap::reaper any(stage.loop, any_options());
    CHECK(any.start() == 0);
  });
}

TEST_CASE("where any() runs on another thread, nothing is made off the loop") {
  (void)test::apart(test::place::plain, [] {
    uv_loop_t loop;
    uv_loop_init(&loop);
    std::thread([&] {
      uvreap::reaper any(loop, any_options());
      CHECK(any.start() == 0);
      test::stage stage;
      test::spawned_child child;
      CHECK(child.ask(stage.reaper, {.argv = {"true"}}) == UV_ENOTSUP);
      CHECK_FALSE(child.has_started());
    }).join();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
    test::stage stage;
    test::spawned_child child;
    REQUIRE(child.ask(stage.reaper, {.argv = {"true"}}) == 0);
    stage.run_dry();
    CHECK(child.was_told_once());
  });
}
