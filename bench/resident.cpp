#include "resident.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>

namespace bench {

double available_gib() {
  std::ifstream file("/proc/meminfo");
  const std::string wanted = "MemAvailable:";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(wanted)) return std::stod(line.substr(wanted.size())) / 1024 / 1024;
  }
  return 0;
}

void grow(std::size_t by) {
  void* memory = ::mmap(nullptr, by, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  ::madvise(memory, by, MADV_NOHUGEPAGE);
  for (std::size_t at = 0; at < by; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
}

}  // namespace bench
