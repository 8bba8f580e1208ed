// What the demo is asked to do.
#pragma once

#include <optional>

struct settings {
  int children = 3;
  double seconds = 1;  // how long the last child sleeps
  bool json = false;

  // From the command line. An exit status: there is nothing to do (--help) or it is wrong, and that has been
  // said.
  [[nodiscard]] std::optional<int> read(int argc, char** argv);
};
