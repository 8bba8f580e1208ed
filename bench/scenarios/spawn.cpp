// spawn: the wall time of making a child that ends at once, until its callback.
#include <vector>

#include "../cell.hpp"

namespace bench {
namespace {

constexpr int warm_up = 5;

void run(cell& cell) {
  cell.make_live();
  std::vector<double> wall, making;
  for (int i = 0; i < warm_up + cell.request().samples; ++i) {
    cell.settle();
    int slot = cell.children().new_slot();
    cell.children().open_gate(slot);
    cell.make(slot);
    std::int64_t after = cell.run_until_told(slot);
    if (i < warm_up) continue;
    const child_times& times = cell.times_of(slot);
    wall.push_back(static_cast<double>(after - times.began));
    making.push_back(static_cast<double>(times.made - times.began));
  }
  add_quantiles(cell.results(), wall);
  add_quantiles(cell.results(), making, "_making");
  cell.add("wall_per_child", "us", mean(wall) / 1000);
}

}  // namespace

scenario spawn_scenario() {
  return {
      .name = "spawn",
      .about = "wall time from before making a child that ends at once, to the end of its callback's turn",
      .lives = {0, 1000, 8000},
      .columns = {{"p50", "p50 us"},
                  {"p90", "p90 us"},
                  {"max", "max us"},
                  {"p50_making", "making p50"},
                  {"wall_per_child", "mean us"}},
      .ratios = {{"p50", "p50"}},
      .extra_children = [](int, int samples) { return warm_up + samples; },
      .run = run};
}

}  // namespace bench
