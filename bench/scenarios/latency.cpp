// latency: one exit at a time, with that many others alive.
#include <algorithm>
#include <vector>

#include "../clock.hpp"
#include "../syscall_counter.hpp"
#include "one_at_a_time.hpp"

namespace bench {
namespace {

constexpr int warm_up = 5;
constexpr int counted = 12;

// System calls of the loop's thread from letting go to the callback, without the one that lets go. The
// counter stops the thread at each of them, so nothing is timed here.
void count_system_calls(cell& cell) {
  syscall_counter counter;
  if (!counter.counts()) return;
  std::vector<double> calls;
  for (int i = 0; i < counted; ++i) {
    int slot = cell.make_parked();
    std::uint64_t before = counter.count();
    cell.children().let_go(slot);
    cell.run_until_told(slot);
    calls.push_back(static_cast<double>(counter.count() - before - 1));
  }
  cell.add("syscalls_per_child", "calls", median(calls));
}

void run(cell& cell) {
  measure_one_at_a_time(cell, cell.request().samples);
  if (!cell.entry().program) count_system_calls(cell);
}

}  // namespace

void measure_one_at_a_time(cell& cell, int samples) {
  cell.make_live();
  std::vector<double> late, reaped, cpu, wall;
  for (int i = 0; i < warm_up + samples; ++i) {
    int slot = cell.make_parked();
    std::int64_t cpu_before = cell.engine().cpu_time();
    std::int64_t before = now();
    cell.children().let_go(slot);
    std::int64_t after = cell.run_until_told(slot);
    std::int64_t cpu_after = cell.engine().cpu_time();
    if (i < warm_up) continue;
    late.push_back(cell.told_after(slot));
    reaped.push_back(static_cast<double>(after - cell.children().stamp(slot)));
    cpu.push_back(static_cast<double>(cpu_after - cpu_before) / 1000);
    wall.push_back(static_cast<double>(after - before) / 1000);
  }
  add_quantiles(cell.results(), late);
  if (cell.entry().tells_before_it_reaps) add_quantiles(cell.results(), reaped, "_reaped");
  cell.add("cpu_per_child", "us", mean(cpu));
  cell.add("wall_per_child", "us", mean(wall));
  for (const auto& one : cell.engine().own_figures()) cell.add(one.metric, one.unit, one.value);
}

scenario latency_scenario() {
  return {.name = "latency",
          .about = "one exit at a time: from the child's stamp just before _exit to the callback",
          .lives = {0, 1000, 8000},
          .columns = {{"p50", "p50 us"},
                      {"p90", "p90 us"},
                      {"p99", "p99 us"},
                      {"max", "max us"},
                      {"p50_reaped", "p50 reaped"},
                      {"cpu_per_child", "cpu us"},
                      {"wall_per_child", "wall us"},
                      {"syscalls_per_child", "syscalls"}},
          .base = "by_hand",
          .ratios = {{"p50", "p50"}, {"cpu_per_child", "cpu"}},
          .extra_children = [](int, int samples) { return warm_up + samples + counted; },
          .run = run};
}

scenario growth_scenario() {
  return {.name = "growth",
          .about = "latency and CPU of one exit while the number of live children grows",
          .lives = {0, 10, 100, 1000, 10000, 30000, 100000},
          .columns = {{"p50", "p50 us"}, {"p99", "p99 us"}, {"cpu_per_child", "cpu us"}},
          .base = "by_hand",
          .ratios = {{"p50", "p50"}, {"cpu_per_child", "cpu"}},
          .extra_children = [](int, int samples) { return warm_up + samples; },
          .run = [](cell& cell) { measure_one_at_a_time(cell, std::min(cell.request().samples, 100)); }};
}

}  // namespace bench
