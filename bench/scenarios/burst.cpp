// burst: that many children end together.
#include <vector>

#include "../cell.hpp"
#include "../clock.hpp"

namespace bench {
namespace {

// One child is let go and each lets two others go before it ends, so that waking thousands costs this process
// one system call.
void run(cell& cell) {
  if (cell.entry().name == "floor") throw skip("a thread blocked in wait4(pid) hears of one child only");
  int count = cell.request().live;
  std::vector<int> slots;
  slots.reserve(static_cast<std::size_t>(count));
  for (int made = 0; made < count; ++made) slots.push_back(cell.make());
  auto at = [&](int place) { return place < count ? slots[static_cast<std::size_t>(place)] : no_slot; };
  for (int place = 0; place < count; ++place) {
    cell.children().wait_parked(at(place));
    cell.children().chain(at(place), at(2 * place + 1), at(2 * place + 2));
  }
  cell.settle();

  std::int64_t cpu_before = cell.engine().cpu_time();
  std::int64_t before = now();
  cell.children().let_go(at(0));
  std::int64_t after = cell.run_until_all_told(count);
  std::int64_t cpu_after = cell.engine().cpu_time();

  std::vector<double> late;
  late.reserve(static_cast<std::size_t>(count));
  for (int slot : slots) late.push_back(cell.told_after(slot));
  add_quantiles(cell.results(), late);
  cell.add("cpu_per_child", "us", static_cast<double>(cpu_after - cpu_before) / 1000 / count);
  cell.add("wall_per_child", "us", static_cast<double>(after - before) / 1000 / count);
  for (const auto& one : cell.engine().own_figures()) cell.add(one.metric, one.unit, one.value);
}

}  // namespace

scenario burst_scenario() {
  return {.name = "burst",
          .about = "that many children end together: CPU of this process per child, and the longest pass",
          .lives = {1000, 8000},
          .columns = {{"cpu_per_child", "cpu us"},
                      {"wall_per_child", "wall us"},
                      {"p50", "p50 us"},
                      {"p99", "p99 us"},
                      {"max", "max us"},
                      {"longest_sweep", "longest pass us"}},
          .base = "wait_any_loop",
          .ratios = {{"cpu_per_child", "cpu"}, {"wall_per_child", "wall"}, {"longest_sweep", "longest"}},
          .extra_children = [](int, int) { return 0; },
          .run = run,
          .least_live = 1};
}

}  // namespace bench
