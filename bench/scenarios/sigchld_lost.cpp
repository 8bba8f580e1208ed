// sigchld_lost: SIGCHLD is blocked in every thread from the beginning. How long until an exit is noticed, if
// ever?
#include <vector>

#include "../cell.hpp"
#include "../clock.hpp"

namespace bench {
namespace {

constexpr int samples = 3;
constexpr std::int64_t patience = 5'000'000'000;  // ns

// The loop runs until then at the latest, whoever is never told: a timer would help those who only need a
// turn, so the loop is looked at now and then instead. A turn that sleeps for ever would never come back.
bool run_until_told_or(cell& cell, int count) {
  for (std::int64_t until = now() + patience; cell.told_count() < count;) {
    if (now() > until) return false;
    cell.engine().turn(false);
    sleep_for(200'000);
  }
  return true;
}

void run(cell& cell) {
  cell.make_live();
  std::vector<double> late;
  for (int i = 0; i < samples; ++i) {
    int slot = cell.make_parked();
    cell.children().let_go(slot);
    if (cell.entry().name == "floor") {
      cell.run_until_told(slot);
    } else if (!run_until_told_or(cell, i + 1)) {
      break;
    }
    late.push_back(cell.told_after(slot) / 1e6);
  }
  cell.add("noticed", "of 3", static_cast<double>(late.size()));
  if (late.empty()) return;
  cell.add("p50", "ms", median(late));
  cell.add("max", "ms", quantile(late, 1));
}

}  // namespace

scenario sigchld_lost_scenario() {
  return {.name = "sigchld_lost",
          .about = "SIGCHLD is blocked: time until an exit is noticed, within 5 s, looked at every 0.2 ms",
          .lives = {0, 1000},
          .columns = {{"noticed", "noticed of 3"}, {"p50", "p50 ms"}, {"max", "max ms"}},
          .extra_children = [](int, int) { return samples; },
          .run = run,
          .blocks_sigchld = true};
}

}  // namespace bench
