#include "limits.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

namespace bench {
namespace {

namespace fs = std::filesystem;

constexpr long unlimited = std::numeric_limits<long>::max();
constexpr long headroom = 256;       // what others start meanwhile
constexpr long reserved_pids = 300;  // the kernel gives none below again after its numbers wrapped around

long number_in(const fs::path& path) {
  std::ifstream file(path);
  long number = 0;
  return file >> number ? number : unlimited;  // "max", or no such file
}

// From "0.52 0.58 0.59 2/314 9471": what exists now, threads included.
long tasks_now() {
  std::ifstream file("/proc/loadavg");
  std::string word;
  for (int skipped = 0; skipped < 4; ++skipped) file >> word;
  auto slash = word.find('/');
  return slash == std::string::npos ? 0 : std::stol(word.substr(slash + 1));
}

// Our cgroup of the unified hierarchy or of the old pids controller, and all above it.
std::vector<fs::path> cgroups() {
  std::vector<fs::path> found;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    auto controllers = line.find(':');
    auto path = line.find(':', controllers + 1);
    if (controllers == std::string::npos || path == std::string::npos) continue;
    std::string which = line.substr(controllers + 1, path - controllers - 1);
    if (!which.empty() && which != "pids") continue;
    fs::path root = which.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
    fs::path inside = line.substr(path + 2);
    for (;; inside = inside.parent_path()) {
      found.push_back(root / inside);
      if (inside.empty()) break;
    }
  }
  return found;
}

}  // namespace

limit children_limit() {
  long used = tasks_now();
  std::vector<limit> all = {
      {"pid_max (/proc/sys/kernel/pid_max)", number_in("/proc/sys/kernel/pid_max") - reserved_pids - used},
      {"threads-max (/proc/sys/kernel/threads-max)", number_in("/proc/sys/kernel/threads-max") - used},
  };
  rlimit processes{};
  ::getrlimit(RLIMIT_NPROC, &processes);
  if (::geteuid() != 0 && processes.rlim_cur != RLIM_INFINITY) {
    all.push_back({"RLIMIT_NPROC (ulimit -u)", static_cast<long>(processes.rlim_cur) - used});
  }
  for (const fs::path& group : cgroups()) {
    long most = number_in(group / "pids.max");
    if (most == unlimited) continue;
    all.push_back(
        {"pids.max (" + (group / "pids.max").string() + ")", most - number_in(group / "pids.current")});
  }
  auto by_most = [](const limit& a, const limit& b) { return a.most < b.most; };
  limit lowest = *std::min_element(all.begin(), all.end(), by_most);
  lowest.most = std::max(0L, lowest.most - headroom);
  return lowest;
}

limit descriptor_limit(int descriptors_per_child) {
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  if (descriptors_per_child == 0 || descriptors.rlim_max == RLIM_INFINITY) return {"", unlimited};
  return {"the hard RLIMIT_NOFILE (ulimit -Hn)",
          std::max(0L, (static_cast<long>(descriptors.rlim_max) - headroom) / descriptors_per_child)};
}

std::string too_many(long children, const limit& limit) {
  if (children <= limit.most) return {};
  return std::to_string(children) + " children are too many: " + limit.name + " allows about " +
         std::to_string(limit.most) + " more";
}

}  // namespace bench
