// What init was asked to do: by its name, the environment and the options.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <uvreap/statistics.hpp>
#include <vector>

#include "personality.hpp"
#include "writer.hpp"

namespace pid1 {

struct settings {
  explicit settings(personality);

  // Empty: go on. Else the exit status: help or version was printed, or what is wrong was said.
  std::optional<int> read(int argc, char** argv, writer& errors);

  [[nodiscard]] bool tells() const { return verbosity >= 2; }
  [[nodiscard]] int exit_status_for(int childs) const { return told_as_0.contains(childs) ? 0 : childs; }

  personality as;
  std::vector<std::string> command;  // empty: only reap
  bool to_group = false;
  bool in_session = false;  // the child leads one, as under dumb-init
  bool is_subreaper = false;
  bool warns = false;           // of each orphan
  int verbosity = 1;            // 0: errors, 1: warnings, 2: what happens
  int parent_death_signal = 0;  // 0: none
  std::set<int> told_as_0;      // exit codes
  std::map<int, int> rewrites;  // from signal to signal; to 0: dropped
  std::string stats;            // empty: none; "-": stderr; else a file
  uvreap::backend_kind backend = uvreap::backend_kind::peek;

  // Empty, under a peer's name: no time at all, what is left is left.
  std::optional<std::chrono::milliseconds> grace{5000};

 private:
  void read_environment();
  [[nodiscard]] std::string take(int option, const char* value);  // what is wrong, or empty
  [[nodiscard]] std::string add_rewrite(const std::string& text);
};

[[nodiscard]] const char* name_of(uvreap::backend_kind);

}  // namespace pid1
