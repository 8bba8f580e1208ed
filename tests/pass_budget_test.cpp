// What one pass may spend: storms of exits are cut by count and by CPU time, and nothing of them is lost.
#include <doctest/doctest.h>

#include <algorithm>

#include "support/pass_rig.hpp"

using test::fake_call;
using test::pass_rig;
using test::with_budget;
using uvreap::notice;

TEST_CASE("ten thousand exits under one signal: the count cuts each pass, nothing is lost or told twice") {
  constexpr int storm = 10'000;
  int budget = 0;
  SUBCASE("budget 64") { budget = 64; }
  SUBCASE("budget 7") { budget = 7; }
  SUBCASE("budget of one") { budget = 1; }
  SUBCASE("a budget that is never spent") { budget = 1'000'000; }
  pass_rig rig(with_budget(budget));
  auto pids = rig.born_watched(storm);
  rig.end_all(pids);
  rig.pass.hear(notice::sigchld);
  std::size_t told = 0;
  std::uint64_t reaped = 0;
  int passes = 0;
  bool work_left = true;
  while (work_left) {
    work_left = rig.pass.run();
    std::size_t spent = rig.all_told().size() - told + rig.stats.reaped - reaped;
    REQUIRE(spent <= static_cast<std::size_t>(budget));  // told and collected together
    told = rig.all_told().size();
    reaped = rig.stats.reaped;
    REQUIRE(++passes <= 2 * storm / budget + 40);
  }
  CHECK(rig.all_told().size() == storm);
  for (pid_t pid : pids) REQUIRE(rig.told_once(pid).status.raw() == test::word_of(pid));
  CHECK_FALSE(rig.backend.has_more());
  CHECK((rig.stats.budget_spent_turns > 0) == (budget < storm));
  CHECK(rig.kernel.waits() <= 4 * storm + 100);  // one look at watch(), one peek and one wait for each
}

TEST_CASE("CPU time cuts a pass as the count does") {
  constexpr int storm = 10'000;
  uvreap::options options = with_budget(1'000'000);
  options.budget_time = std::chrono::microseconds(500);
  pass_rig rig(options);
  auto pids = rig.born_watched(storm);
  rig.end_all(pids);
  rig.kernel.wait4_costs(std::chrono::microseconds(10), std::chrono::microseconds(10));
  rig.pass.hear(notice::sigchld);
  std::uint64_t most = 0;
  int passes = 1;
  for (std::uint64_t before = 0; rig.pass.run(); before = rig.stats.reaped, ++passes) {
    most = std::max(most, rig.stats.reaped - before);
    REQUIRE(passes < 1'000);
  }
  CHECK(most >= 50);
  CHECK(most <= 57);  // the clock is read every eighth look
  CHECK(rig.all_told().size() == storm);
  for (pid_t pid : pids) REQUIRE(rig.told(pid).size() == 1);
  CHECK(rig.stats.longest_sweep >= std::chrono::microseconds(500));
  CHECK(rig.stats.longest_sweep <= std::chrono::microseconds(570));
}

TEST_CASE("time off the CPU does not cut a pass") {
  uvreap::options options = with_budget(1'000'000);
  pass_rig rig(options);
  rig.end_all(rig.born_watched(1'000));
  rig.kernel.wait4_costs(std::chrono::milliseconds(1), std::chrono::nanoseconds(10));
  rig.pass.hear(notice::sigchld);
  while (rig.pass.run()) {
  }
  CHECK(rig.stats.reaped == 1'000);
  CHECK(rig.stats.budget_spent_turns == 0);
}

TEST_CASE("the CPU clock is read rarely, and at once after a slow wait") {
  pass_rig rig(with_budget(64));
  rig.end_all(rig.born_watched(64));
  auto reads_of_one_pass = [&] {
    auto before = rig.kernel.calls(fake_call::thread_cpu_ns);
    rig.pass.hear(notice::poller);
    REQUIRE(rig.pass.run());
    return rig.kernel.calls(fake_call::thread_cpu_ns) - before;
  };
  CHECK(reads_of_one_pass() == 1 + 64 / 8);  // at the start, and every eighth look
  rig.settle();
  rig.end_all(rig.born_watched(64));
  rig.kernel.wait4_costs(std::chrono::microseconds(60), std::chrono::nanoseconds(0));
  CHECK(reads_of_one_pass() >= 1 + 64);
}

TEST_CASE("one wait that used up the time ends the pass after it") {
  uvreap::options options = with_budget(64);
  pass_rig rig(options);
  auto pids = rig.born_watched(20);
  rig.end_all(pids);
  rig.kernel.wait4_costs(std::chrono::microseconds(600), std::chrono::microseconds(600));
  rig.pass.hear(notice::poller);  // a round gives many at a time, so only the time can stop it
  CHECK(rig.pass.run());
  CHECK(rig.stats.reaped == 1);
  CHECK(rig.stats.budget_spent_turns == 1);
  CHECK(rig.pass.run());
  CHECK(rig.stats.reaped == 2);  // the rest of the batch is not forgotten
  rig.settle();
  CHECK(rig.all_told().size() == 20);
}

TEST_CASE("told exits count against the budget") {
  pass_rig rig(with_budget(10));
  auto first = rig.born_watched(10);
  rig.end_all(first);
  rig.pass.hear(notice::poller);
  CHECK(rig.pass.run());
  REQUIRE(rig.stats.reaped == 10);
  auto second = rig.born_watched(10);
  rig.end_all(second);
  rig.pass.hear(notice::poller);
  CHECK(rig.pass.run());  // tells ten
  CHECK(rig.all_told().size() == 10);
  CHECK(rig.stats.reaped == 10);  // and collects none
  rig.settle();
  CHECK(rig.all_told().size() == 20);
}
