// A reaper at rest: the poller ticks ever more seldom where SIGCHLD and the backend notice all there is, and
// as often as ever where they do not.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/loop_handle.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

constexpr auto period = milliseconds(10);
// Of a poller that doubles its rest from 10 ms on: 10, 20, 40, 80, 160, 320, 640.
constexpr std::uint64_t most_in_a_second = 7;
constexpr std::uint64_t most_of_every_period = 110;  // in a second and up to 50 ms more
constexpr std::uint64_t least_of_every_period = 20;  // of a hundred, on a busy machine

uvreap::options with_a_period(bool any) {
  auto options = test::options_of_this_run();
  options.poll_every = period;
  if (any) options.children = uvreap::scope::any();
  return options;
}

std::uint64_t ticks_in_a_second(test::stage& stage) {
  auto before = stage.reaper.stats().wakeups_by_poller;
  test::stopwatch watch;
  while (watch.elapsed() < milliseconds(1000)) {
    bool over = false;
    auto end = test::after(stage.loop, milliseconds(50), [&] { over = true; });
    while (!over) uv_run(&stage.loop, UV_RUN_ONCE);
  }
  return stage.reaper.stats().wakeups_by_poller - before;
}

// A child that lives until it is let go.
struct living {
  explicit living(test::stage& stage) {
    auto tell = [this](const child_exit& exit) { told += exit.status.exit_code() == 4 ? 1 : 0; };
    REQUIRE(stage.reaper.fork(
                &pid, [this] { return gate.wait(), 4; }, tell) == 0);
  }
  test::gate gate;
  pid_t pid = 0;
  int told = 0;
};

void block_sigchld(bool block) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  ::pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
}

}  // namespace

TEST_CASE("a watched child that a backend names lets the poller rest, if SIGCHLD is heard; no other does") {
  test::stage stage(with_a_period(false));
  living child(stage);
  bool may_rest = test::names_exits() && test::hears_sigchld();
  auto ticks = ticks_in_a_second(stage);
  CHECK(ticks <= (may_rest ? most_in_a_second : most_of_every_period));
  CHECK(ticks >= (may_rest ? 1 : least_of_every_period));
  child.gate.open();
  stage.run_until([&] { return child.told == 1; });
}

TEST_CASE("an any() with nobody to watch rests where SIGCHLD is heard") {
  test::stage stage(with_a_period(true));
  auto ticks = ticks_in_a_second(stage);
  CHECK(ticks <= (test::poller_alone() ? most_of_every_period : most_in_a_second));
  CHECK(ticks >= (test::poller_alone() ? least_of_every_period : 1));
}

TEST_CASE("it does not rest while SIGCHLD is blocked, or another handler has it") {
  if (test::poller_alone()) return;
  test::stage stage(with_a_period(true));
  SUBCASE("blocked") {
    block_sigchld(true);
    CHECK(ticks_in_a_second(stage) >= least_of_every_period);
    block_sigchld(false);
  }
  SUBCASE("another handler") {
    struct ::sigaction ours {};
    struct ::sigaction anothers {};
    anothers.sa_handler = [](int) {};
    REQUIRE(::sigaction(SIGCHLD, &anothers, &ours) == 0);
    CHECK(ticks_in_a_second(stage) >= least_of_every_period);
    ::sigaction(SIGCHLD, &ours, nullptr);
  }
}

TEST_CASE("a child that is watched, or one that ends, ends the rest of the poller at once") {
  auto options = with_a_period(true);
  options.unclaimed_grace = milliseconds(0);
  test::stage stage(options);
  (void)ticks_in_a_second(stage);
  (void)ticks_in_a_second(stage);
  auto before = stage.reaper.stats().wakeups_by_poller;
  auto ticks_soon = [&] {  // three rests of a poller that was left alone take more than two seconds
    test::stopwatch watch;
    stage.run_until([&] { return stage.reaper.stats().wakeups_by_poller >= before + 3; });
    return watch.elapsed() < milliseconds(600);
  };
  if (test::poller_alone()) return;
  CHECK(test::one_of_three([&] {
    (void)ticks_in_a_second(stage);
    before = stage.reaper.stats().wakeups_by_poller;
    living child(stage);
    bool soon = ticks_soon();
    (void)ticks_in_a_second(stage);
    before = stage.reaper.stats().wakeups_by_poller;
    child.gate.open();
    stage.run_until([&] { return child.told == 1; });
    return ticks_soon() && soon;
  }));
}
