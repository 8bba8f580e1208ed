// What uvreap init was asked to do.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <uvreap/statistics.hpp>
#include <vector>

namespace pid1 {

constexpr int own_error = 255;  // the exit status when it was not the child that failed

struct settings {
  // Empty: go on. Else the exit status: help was printed, or what is wrong.
  std::optional<int> read(int argc, char** argv);

  std::vector<std::string> command;
  bool to_group = false;
  bool is_subreaper = false;
  bool warns = false;
  std::map<int, int> rewrites;  // from signal to signal; to 0: dropped
  std::chrono::milliseconds grace{5000};
  std::string stats;  // empty: none; "-": stderr; else a file
  uvreap::backend_kind backend = uvreap::backend_kind::automatic;
};

}  // namespace pid1
