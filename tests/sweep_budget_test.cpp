// What one sweep may spend: storms of exits are cut by count and by CPU time, and nothing of them is lost.
#include <doctest/doctest.h>

#include <algorithm>

#include "support/core_rig.hpp"

using test::core_rig;
using test::fake_call;
using test::with_budget;
using uvreap::notice;

TEST_CASE(
    "ten thousand exits under one signal: the count cuts each sweep, nothing is lost or delivered twice") {
  constexpr int storm = 10'000;
  int budget = 0;
  SUBCASE("budget 64") { budget = 64; }
  SUBCASE("budget 7") { budget = 7; }
  SUBCASE("budget of one") { budget = 1; }
  SUBCASE("a budget that is never spent") { budget = 1'000'000; }
  core_rig rig(with_budget(budget));
  auto pids = rig.born_watched(storm);
  rig.end_all(pids);
  rig.wake(notice::sigchld);
  std::size_t delivered = 0;
  std::uint64_t reaped = 0;
  int sweeps = 0;
  bool work_left = true;
  while (work_left) {
    work_left = rig.sweep();
    std::uint64_t spent = rig.all_delivered().size() - delivered + rig.stats().reaped - reaped;
    REQUIRE(spent <= static_cast<std::uint64_t>(budget));  // delivered and collected together
    delivered = rig.all_delivered().size();
    reaped = rig.stats().reaped;
    REQUIRE(++sweeps <= 2 * storm / budget + 40);
  }
  CHECK(rig.all_delivered().size() == storm);
  for (pid_t pid : pids) REQUIRE(rig.delivered_once(pid).status.raw() == test::word_of(pid));
  CHECK((rig.stats().budget_spent_turns > 0) == (budget < storm));
  // One look at watch(), and a peek, a look and a wait for each.
  CHECK(rig.kernel.waits() <= 4 * storm + 100);
}

TEST_CASE("CPU time cuts a sweep as the count does") {
  constexpr int storm = 10'000;
  uvreap::options options = with_budget(1'000'000);
  options.budget_time = std::chrono::microseconds(500);
  core_rig rig(options);
  auto pids = rig.born_watched(storm);
  rig.end_all(pids);
  rig.kernel.wait4_costs(std::chrono::microseconds(10), std::chrono::microseconds(10));
  rig.wake(notice::sigchld);
  std::uint64_t most = 0;
  int sweeps = 1;
  for (std::uint64_t before = 0; rig.sweep(); before = rig.stats().reaped, ++sweeps) {
    most = std::max(most, rig.stats().reaped - before);
    REQUIRE(sweeps < 1'000);
  }
  CHECK(most >= 50);
  CHECK(most <= 51);
  CHECK(rig.all_delivered().size() == storm);
  for (pid_t pid : pids) REQUIRE(rig.delivered(pid).size() == 1);
  CHECK(rig.stats().longest_sweep >= std::chrono::microseconds(500));
  CHECK(rig.stats().longest_sweep <= std::chrono::microseconds(570));
}

TEST_CASE("without a limit of time a sweep reads no clock: the count alone ends it") {
  uvreap::options options = with_budget(1'000);
  options.budget_time = std::chrono::microseconds::max();
  core_rig rig(options);
  rig.end_all(rig.born_watched(5'000));
  rig.kernel.wait4_costs(std::chrono::milliseconds(1), std::chrono::milliseconds(1));
  rig.wake(notice::sigchld);
  int sweeps = 1;
  for (std::uint64_t before = 0; rig.sweep(); before = rig.stats().reaped, ++sweeps) {
    REQUIRE(rig.stats().reaped - before <= 1'000);
    REQUIRE(sweeps < 100);
  }
  CHECK(rig.stats().reaped == 5'000);
  CHECK(rig.stats().longest_sweep.count() == 0);
  CHECK(rig.kernel.calls(test::fake_call::thread_cpu_ns) == 0);
}

TEST_CASE("time off the CPU does not cut a sweep") {
  uvreap::options options = with_budget(1'000'000);
  core_rig rig(options);
  rig.end_all(rig.born_watched(1'000));
  rig.kernel.wait4_costs(std::chrono::milliseconds(1), std::chrono::nanoseconds(10));
  rig.wake(notice::sigchld);
  while (rig.sweep()) {
  }
  CHECK(rig.stats().reaped == 1'000);
  CHECK(rig.stats().budget_spent_turns == 0);
  CHECK(rig.stats().longest_sweep < std::chrono::microseconds(200));
}

TEST_CASE("the CPU clock is read when the time may be over, and not before") {
  core_rig rig(with_budget(64));
  auto reads_of_one_sweep = [&](std::chrono::microseconds wall, std::chrono::microseconds cpu) {
    rig.settle();
    rig.end_all(rig.born_watched(64));
    rig.kernel.wait4_costs(wall, cpu);
    auto before = rig.kernel.calls(fake_call::thread_cpu_ns);
    rig.wake(notice::poller);
    REQUIRE(rig.sweep());
    return rig.kernel.calls(fake_call::thread_cpu_ns) - before;
  };
  using std::chrono::microseconds;
  // 64 us by then; a quarter of budget_time is 125.
  CHECK(reads_of_one_sweep(microseconds(1), microseconds(1)) == 0);
  // At the begin, since the sweep before had many; of 640 us as they pass 500; and for longest_sweep.
  CHECK(reads_of_one_sweep(microseconds(10), microseconds(10)) <= 3);
  // Nothing of what comes later is CPU time: the rest, 320 us, is left each time.
  CHECK(reads_of_one_sweep(microseconds(60), microseconds(0)) <= 64 * 60 / 320 + 3);
}

TEST_CASE(
    "a wait that used up the time ends the sweep after it, or after one more where no clock was read "
    "before") {
  uvreap::options options = with_budget(64);
  core_rig rig(options);
  auto pids = rig.born_watched(20);
  rig.end_all(pids);
  rig.kernel.wait4_costs(std::chrono::microseconds(600), std::chrono::microseconds(600));
  rig.wake(notice::poller);  // a round gives many at a time, so only the time can stop it
  CHECK(rig.sweep());
  CHECK(rig.stats().reaped == 2);
  CHECK(rig.stats().budget_spent_turns == 1);
  CHECK(rig.sweep());
  CHECK(rig.stats().reaped == 4);  // the rest of the batch is not dropped
  rig.settle();
  CHECK(rig.all_delivered().size() == 20);
}

TEST_CASE("deliveries count against the budget") {
  core_rig rig(with_budget(10));
  auto first = rig.born_watched(10);
  rig.end_all(first);
  rig.wake(notice::poller);
  CHECK(rig.sweep());
  REQUIRE(rig.stats().reaped == 10);
  auto second = rig.born_watched(10);
  rig.end_all(second);
  rig.wake(notice::poller);
  CHECK(rig.sweep());  // delivers ten
  CHECK(rig.all_delivered().size() == 10);
  CHECK(rig.stats().reaped == 10);  // and collects none
  rig.settle();
  CHECK(rig.all_delivered().size() == 20);
}
