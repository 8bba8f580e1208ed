// What children were about to end with, by their own word: a told status is compared with it, and cannot
// merely look plausible.
#pragma once

namespace test {

// Shared with the children that are made after it. A child writes its plan just before it ends.
class truth_page {
 public:
  explicit truth_page(int slots);
  ~truth_page();
  truth_page(const truth_page&) = delete;
  truth_page& operator=(const truth_page&) = delete;

  void plan(int slot, int wait_word);  // in the child, or before it is made
  [[nodiscard]] int planned(int slot) const;

 private:
  int slots_;
  int* words_;
};

// Wait words, as the kernel builds them.
constexpr int exited_with(int code) { return (code & 0xff) << 8; }
constexpr int killed_by(int signum) { return signum; }

}  // namespace test
