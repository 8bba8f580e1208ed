// Random schedules of everything that can happen to children and to a reaper, against a small model that
// knows what has to be delivered: each watch exactly once with the true status or as lost, unless it was
// released or detached; no status taken and no process signalled that nobody gave us, though it has the
// number of one that is watched; nothing delivered in the sweep that collected it; and all of it settled
// after a bounded number of sweeps. By whatever tells births, and by numbers alone.
//
// A failure prints its seed; UVREAP_TEST_SEED=n runs that one alone.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "support/schedule.hpp"

namespace {

constexpr unsigned seeds = 1'500;
constexpr int steps = 1'000;

void run(unsigned seed) {
  test::schedule schedule(seed);
  for (int step = 0; step < steps && schedule.failure().empty(); ++step) schedule.step();
  schedule.finish();
  REQUIRE_MESSAGE(schedule.failure().empty(), "UVREAP_TEST_SEED=", seed, ": ", schedule.failure());
}

}  // namespace

TEST_CASE("whatever happens in whatever order, each watch is delivered once and truly") {
  if (const char* one = std::getenv("UVREAP_TEST_SEED")) return run(static_cast<unsigned>(std::atoi(one)));
  for (unsigned seed = 1; seed <= seeds; ++seed) run(seed);
}

TEST_CASE("the schedules do reach what they are for") {
  test::schedule::tally all;
  for (unsigned seed = 1; seed <= 64; ++seed) {
    test::schedule schedule(seed);
    for (int step = 0; step < steps; ++step) schedule.step();
    schedule.finish();
    all += schedule.counts();
  }
  CHECK(all.delivered > 1'000);
  CHECK(all.lost > 100);
  CHECK(all.recovered > 5);
  CHECK(all.changes > 100);
  CHECK(all.released > 100);
  CHECK(all.detached > 100);
  CHECK(all.signalled > 100);
  CHECK(all.reserved > 20);  // ended, and watched after that
  CHECK(all.reused_numbers > 100);
  CHECK(all.reused_under_a_watch > 20);
  CHECK(all.cut_sweeps > 100);
}
