#include "truth_page.hpp"

#include <sys/mman.h>

#include <cstdlib>

namespace test {

truth_page::truth_page(int slots) : slots_(slots) {
  void* memory = ::mmap(nullptr, sizeof(int) * static_cast<std::size_t>(slots), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  words_ = static_cast<int*>(memory);
  for (int slot = 0; slot < slots; ++slot) words_[slot] = -1;
}

truth_page::~truth_page() { ::munmap(words_, sizeof(int) * static_cast<std::size_t>(slots_)); }
void truth_page::plan(int slot, int wait_word) { words_[slot] = wait_word; }
int truth_page::planned(int slot) const { return words_[slot]; }

}  // namespace test
