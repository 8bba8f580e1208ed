// A program that has eight descriptors left, or none: children are watched and told all the same, an backend
// that cannot be had says so, and children get a place in it once there are descriptors again.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "support/crowd.hpp"
#include "support/descriptors_left.hpp"
#include "support/loop_handle.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::backend_kind;
using uvreap::statistics;

namespace {

constexpr int for_a_gate = 2;  // the test's own, in what it leaves to the library

uvreap::options with_a_quick_poller(bool automatic = false) {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(20);  // children climb back with its ticks
  if (automatic) options.backend = backend_kind::automatic;
  return options;
}

void close_for_now(test::stage& stage) {
  bool done = false;
  REQUIRE(stage.reaper.close([&] { done = true; }) == 0);
  stage.run_until([&] { return done; });
}

// What a rung needs at start: itself (a ring and its bell, an epoll set), and a pidfd to try it on.
int to_start(backend_kind rung) {
  return rung == backend_kind::ring ? 3 : rung == backend_kind::pidfd ? 2 : 0;
}

}  // namespace

TEST_CASE("with 8 descriptors left a reaper starts, and tells 50 children truly") {
  test::stage stage(with_a_quick_poller());
  auto rung = stage.reaper.stats().backend;
  close_for_now(stage);
  std::optional<test::descriptors_left> few(8 + for_a_gate);
  REQUIRE(stage.reaper.start() == 0);
  CHECK(stage.reaper.stats().backend == rung);
  {
    test::crowd children(stage, 50);
    auto stats = stage.reaper.stats();
    CHECK(stats.on_ring + stats.on_pidfd + stats.on_peek == 50);
    if (rung == backend_kind::ring)
      CHECK(stats.on_ring + stats.on_pidfd == 50);  // the ring needs none for a child
    if (rung == backend_kind::pidfd) {
      CHECK(stats.on_pidfd > 0);
      CHECK(stats.on_pidfd < 8);  // the program has some left
      CHECK(stats.degraded == UV_EMFILE);
    }
    children.end();
    children.check_each_told_once();
  }
  few.reset();
  test::crowd later(stage, 50);
  if (test::names_exits()) stage.run_until([&] { return stage.reaper.stats().on_backend == 50; });
  later.end();
  later.check_each_told_once();
}

TEST_CASE(
    "children that are watched when no descriptor is left are told, or climb back when there are some") {
  test::stage stage(with_a_quick_poller());
  std::optional<test::descriptors_left> none;
  {
    test::crowd before(stage, 1);
    CHECK(stage.reaper.stats().on_backend == (test::names_exits() ? 1 : 0));
    before.end();
    before.check_each_told_once();
  }
  none.emplace(for_a_gate);
  test::crowd told_meanwhile(stage, 25);
  none.emplace(for_a_gate);
  test::crowd told_later(stage, 25);
  auto stats = stage.reaper.stats();
  CHECK(stats.watched == 50);
  CHECK(stats.on_backend == 0);
  CHECK(stats.on_peek == 50);
  if (test::names_exits()) CHECK(stats.degraded == UV_EMFILE);
  told_meanwhile.end();
  told_meanwhile.check_each_told_once();
  CHECK(told_later.told() == 0);

  none.reset();
  if (test::names_exits()) stage.run_until([&] { return stage.reaper.stats().on_backend == 25; });
  test::crowd watched_later(stage, 25);
  CHECK(stage.reaper.stats().on_backend == (test::names_exits() ? 50 : 0));
  told_later.end();
  watched_later.end();
  told_later.check_each_told_once();
  watched_later.check_each_told_once();
}

TEST_CASE("an backend that was asked for and cannot be had is start's error, and another start may have it") {
  test::stage stage(with_a_quick_poller());
  int needed = to_start(test::options_of_this_run().backend);
  for (int left = 0; left <= 8; ++left) {
    CAPTURE(left);
    close_for_now(stage);
    {
      test::descriptors_left few(left);
      int error = stage.reaper.start();
      CHECK(error == (left < needed ? UV_EMFILE : 0));
      if (error != 0) {
        CHECK(stage.reaper.stats() == statistics{});
        CHECK(stage.reaper.watch(::getppid(), [](const uvreap::child_exit&) {}) == UV_EINVAL);
      }
    }
    int error = stage.reaper.start();
    CHECK((error == 0 || error == UV_EALREADY));
    test::crowd children(stage, 5);
    children.end();
    children.check_each_told_once();
  }
}

TEST_CASE("an backend that is left to the reaper steps down where it cannot be had, and says why") {
  test::stage stage(with_a_quick_poller(true));
  auto best = stage.reaper.stats().backend;
  for (int left = 0; left <= 8; ++left) {
    CAPTURE(left);
    close_for_now(stage);
    test::descriptors_left few(left + for_a_gate);
    std::optional<test::gate> takes_some(std::in_place);
    REQUIRE(stage.reaper.start() == 0);
    takes_some.reset();
    bool enough = left >= to_start(best);
    bool for_the_next = left >= to_start(backend_kind::pidfd);
    auto stats = stage.reaper.stats();
    CHECK(stats.backend == (enough ? best : for_the_next ? backend_kind::pidfd : backend_kind::peek));
    if (!enough) CHECK(stats.degraded == UV_EMFILE);
    test::crowd children(stage, 5);
    children.end();
    children.check_each_told_once();
  }
}

TEST_CASE("an backend that could not be had at start is had when there are descriptors again") {
  test::stage stage(with_a_quick_poller(true));
  auto best = stage.reaper.stats().backend;
  close_for_now(stage);
  std::optional<test::descriptors_left> few(for_a_gate);
  std::optional<test::gate> takes_some(std::in_place);
  REQUIRE(stage.reaper.start() == 0);
  CHECK(stage.reaper.stats().backend == backend_kind::peek);
  takes_some.reset();
  test::crowd children(stage, 5);
  CHECK(stage.reaper.stats().on_peek == 5);

  few.reset();
  stage.run_until([&] { return stage.reaper.stats().backend == best; });
  if (best != backend_kind::peek) stage.run_until([&] { return stage.reaper.stats().on_backend == 5; });
  auto before = stage.reaper.stats().wakeups_by_backend;
  children.end();
  children.check_each_told_once();
  if (best != backend_kind::peek) CHECK(stage.reaper.stats().wakeups_by_backend > before);
}

TEST_CASE(
    "a loop that goes to another thread when no descriptor is left sleeps, and its children climb back") {
  if (!test::names_exits()) return;
  test::stage stage(with_a_quick_poller());
  test::crowd children(stage, 30);
  int turns = 0;
  {
    test::descriptors_left none(0);
    auto count = test::on_prepare(stage.loop, [&] { ++turns; });
    bool over = false;
    auto end = test::after(stage.loop, milliseconds(300), [&] { over = true; });
    std::thread([&] {
      children.let_one_go();
      while (!over) uv_run(&stage.loop, UV_RUN_ONCE);
    }).join();
  }
  CHECK(turns < 1000);  // some for each tick, of which there are fifteen
  int left = children.size() - children.told();
  stage.run_until([&] { return stage.reaper.stats().on_backend == static_cast<std::uint64_t>(left); });
  children.end();
  children.check_each_told_once();
}
