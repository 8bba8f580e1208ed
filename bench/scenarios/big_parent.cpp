// big_parent: spawning from a process that has much memory resident. fork copies its page tables; vfork does
// not.
#include <algorithm>
#include <string>
#include <vector>

#include "../cell.hpp"
#include "../clock.hpp"
#include "../resident.hpp"

namespace bench {
namespace {

constexpr int most_samples = 30;

void measure(cell& cell, const std::string& suffix) {
  std::vector<double> wall, making;
  for (int i = 0; i < std::min(most_samples, cell.request().samples); ++i) {
    cell.settle();
    int slot = cell.children().new_slot();
    cell.children().open_gate(slot);
    std::int64_t before = now();
    cell.engine().make(slot);
    making.push_back(static_cast<double>(now() - before));
    cell.run_until_told(slot);
    wall.push_back(static_cast<double>(now() - before));
  }
  add_quantiles(cell.results(), wall, suffix);
  add_quantiles(cell.results(), making, "_making" + suffix);
}

void run(cell& cell) {
  cell.make_live();
  std::size_t resident = 0;
  for (std::size_t size : {0U, 1U, 4U}) {
    if (available_gib() < static_cast<double>(size - resident) + 1) {
      cell.leave_out(std::to_string(size) + " GiB: only " +
                     std::to_string(static_cast<int>(available_gib())) + " GiB are available");
      return;
    }
    if (size != resident) grow((size - resident) * gib);
    resident = size;
    measure(cell, "_" + std::to_string(size) + "gib");
  }
}

}  // namespace

scenario big_parent_scenario() {
  return {.name = "big_parent",
          .about =
              "spawn + exit, and the making alone, from a parent with 0, 1 and 4 GiB resident in small pages",
          .lives = {0},
          .columns = {{"p50_0gib", "0 GiB p50 us"},
                      {"p50_1gib", "1 GiB"},
                      {"p50_4gib", "4 GiB"},
                      {"p50_making_0gib", "making: 0 GiB"},
                      {"p50_making_1gib", "1 GiB"},
                      {"p50_making_4gib", "4 GiB"}},
          .extra_children = [](int, int) { return 3 * most_samples; },
          .run = run,
          .looks_at_itself = true};
}

}  // namespace bench
