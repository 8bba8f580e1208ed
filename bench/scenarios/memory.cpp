// memory: what watching a child costs this process, in bytes and descriptors, and the kernel, in slab.
#include <malloc.h>
#include <sys/types.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../cell.hpp"
#include "../clock.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;

double kib_in(const char* path, const std::string& field) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field)) return std::stod(line.substr(field.size()));
  }
  return 0;
}

struct usage {
  // Anonymous only: the slots that are shared with the children are the bench's.
  double resident = kib_in("/proc/self/status", "RssAnon:") * 1024;
  double heap = static_cast<double>(::mallinfo2().uordblks + ::mallinfo2().hblkhd);
  double slab = kib_in("/proc/meminfo", "Slab:") * 1024;
  double descriptors =
      static_cast<double>(std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
};

// Made first and watched then, so that the difference is the watching alone; uv_spawn does both in one.
void run(cell& cell) {
  int count = cell.request().live;
  bool apart = !cell.engine().makes_its_own();
  std::vector<int> slots;
  std::vector<pid_t> pids;
  slots.reserve(static_cast<std::size_t>(count));
  pids.reserve(static_cast<std::size_t>(count));
  for (int made = 0; made < count; ++made) {
    slots.push_back(cell.children().new_slot());
    if (apart) pids.push_back(cell.children().make(slots.back()));
  }
  if (apart) {
    for (int slot : slots) cell.children().wait_parked(slot);
    sleep_for(200'000'000);  // until the kernel has freed what starting thousands of programs took
  }
  usage before;
  for (std::size_t at = 0; at < slots.size(); ++at) {
    if (apart) {
      cell.engine().watch(pids[at], slots[at]);
    } else {
      cell.engine().make(slots[at]);
    }
  }
  for (int slot : slots) cell.children().wait_parked(slot);
  cell.settle();
  usage after;
  cell.add("resident_per_child", "bytes", (after.resident - before.resident) / count);
  cell.add("heap_per_child", "bytes", (after.heap - before.heap) / count);
  cell.add("descriptors_per_child", "descriptors", (after.descriptors - before.descriptors) / count);
  if (apart) cell.add("slab_per_child", "bytes", (after.slab - before.slab) / count);
  for (const auto& one : cell.engine().own_figures()) cell.add(one.metric, one.unit, one.value);
}

}  // namespace

scenario memory_scenario() {
  return {
      .name = "memory",
      .about = "watching a child: user memory and descriptors of this process, and slab of the whole machine",
      .lives = {1000, 8000},
      .columns = {{"resident_per_child", "resident bytes"},
                  {"heap_per_child", "heap bytes"},
                  {"descriptors_per_child", "descriptors"},
                  {"slab_per_child", "slab bytes"}},
      .extra_children = [](int, int) { return 0; },
      .run = run,
      .least_live = 1,
      .looks_at_itself = true};
}

}  // namespace bench
