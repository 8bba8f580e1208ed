// What came of a run, and how it is told to who started it.
#pragma once

#include <optional>

#include "run_report.hpp"

struct run_outcome {
  run_totals counts;
  bool has_own_error = false;  // ours, or the list's
  bool is_halted_by_success = false;
  int interrupted_by = 0;            // the last signal that was to end us; 0: none
  std::optional<int> status_of_one;  // of a single command, as a shell says it
  int signal_of_one = 0;

  void add(const job_end&);      // of a job that is not tried again
  void add_one(const job_end&);  // the same of a single command
  void is_lost(const job_end&);  // what it wrote, after it was added
  void add_list_error();
  [[nodiscard]] bool is_empty() const { return counts.done + counts.failed + counts.list_errors == 0; }

  [[nodiscard]] int exit_status() const;
  [[nodiscard]] int deadly_signal() const;  // that we are to die of as well; 0: none
};
