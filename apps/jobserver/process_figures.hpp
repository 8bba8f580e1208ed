// What the process itself takes, from /proc/self; zeros where that is not mounted.
#pragma once

#include <cstdint>

struct process_figures {
  double cpu_seconds = 0;
  std::uint64_t open_descriptors = 0;
  std::uint64_t most_descriptors = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t start_seconds = 0;  // since 1970

  [[nodiscard]] static process_figures now();
};
