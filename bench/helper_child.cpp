// The child of every measurement: stands at its gate, stamps the clock, and ends. Linked statically, so that
// making one is quick and the same for every engine.
//
//     bench-helper-child MEMORY_DESCRIPTOR SLOT PARENT_PID
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "slot.hpp"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  // It dies with its parent, however that ends: no child outlives a benchmark that was interrupted. The
  // parent may be gone before this call, so look again afterwards.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != std::atoi(argv[3])) return 3;

  int memory = std::atoi(argv[1]);
  struct stat about {};
  if (::fstat(memory, &about) != 0) return 4;
  auto size = static_cast<std::size_t>(about.st_size);
  void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (mapped == MAP_FAILED) return 5;
  auto* slots = static_cast<bench::slot*>(mapped);
  bench::slot& own = slots[std::atoi(argv[2])];

  own.parked.store(1, std::memory_order_release);
  bench::wait_at_gate(own);
  for (int next : own.wakes) {
    if (next != bench::no_slot) bench::let_go(slots[next]);
  }
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  own.stamp = now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
  ::_exit(0);
}
