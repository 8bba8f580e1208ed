// Runs the cells, one after another, each in a process of its own with a time limit, and leaves no child
// behind.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "record.hpp"

namespace bench {

// What is measured in every round.
struct part {
  std::vector<std::string> scenarios;
  std::vector<std::string> engines;
  std::vector<int> lives;  // empty: what each scenario has
};

struct plan {
  std::vector<part> parts;
  int rounds = 5;
  int samples = 200;
  double seconds = 10;      // of resting
  double time_limit = 120;  // seconds for one cell
  std::vector<std::string> plants;
};

struct outcome {
  records all;
  bool interrupted = false;
  int failed = 0;  // cells that hung or broke
};

// Progress goes to stderr. Ctrl-C ends the cell and its children, and gives what there is so far.
outcome run(const plan&);

}  // namespace bench
