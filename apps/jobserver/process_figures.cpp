#include "process_figures.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Of /proc/self/stat, counted from 1 as in proc(5).
std::uint64_t field_of_stat(int wanted) {
  std::ifstream stat("/proc/self/stat");
  stat.ignore(std::numeric_limits<std::streamsize>::max(), ')');  // the name may hold blanks
  std::string field;
  for (int number = 3; number <= wanted; ++number) stat >> field;
  return stat ? std::stoull(field) : 0;
}

std::uint64_t boot_seconds() {
  std::ifstream stat("/proc/stat");
  std::uint64_t seconds = 0;
  for (std::string word; stat >> word;) {
    if (word == "btime") stat >> seconds;
  }
  return seconds;
}

}  // namespace

process_figures process_figures::now() {
  process_figures all;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  all.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  std::error_code gone;
  for (auto at = std::filesystem::directory_iterator("/proc/self/fd", gone); at != end(at);
       at.increment(gone)) {
    ++all.open_descriptors;
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  all.most_descriptors = limit.rlim_cur;
  std::ifstream pages("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  pages >> size >> resident;
  auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  all.virtual_bytes = size * page_bytes;
  all.resident_bytes = resident * page_bytes;
  static const std::uint64_t started =
      boot_seconds() + field_of_stat(22) / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  all.start_seconds = started;
  return all;
}
