// The options of uvreap run.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <uvreap/reaper.hpp>
#include <vector>

#include "argument_list.hpp"
#include "halt_rule.hpp"

constexpr int our_error = 255;  // as an exit status: of ours, or of the list, and not of a job

enum class output_mode {
  group,  // what a job wrote, in one piece when it has ended
  lines,  // each line as it comes
  none,   // dropped
  files,  // in a directory, two files a job
};

enum class sort_key { number, name, wall, cpu, rss, status };

struct run_settings {
  // Reads the command line. With a value: exit with it now (--help: 0; an error, which is said: 255).
  [[nodiscard]] std::optional<int> read(int argc, char** argv);

  // One command with our own input and output, and not jobs.
  [[nodiscard]] bool is_one_command() const { return !command.empty() && arguments.empty(); }

  // Such a command is to end after a time, and all that it began with it.
  [[nodiscard]] bool ends_all() const { return is_one_command() && timeout.count() != 0; }

  std::vector<std::string> command;      // empty: the jobs are those of lists
  std::vector<argument_list> arguments;  // the command is run for each combination; empty: once
  char argument_end = '\n';              // in files
  std::vector<std::string> lists;        // files, or "-"
  bool by_shell = false;                 // sh reads lines and command
  bool dry_run = false;
  int at_once = 1;
  std::chrono::milliseconds timeout{0};  // 0: none
  std::chrono::milliseconds grace{5000};
  int retries = 0;
  halt_rule halt;
  bool keep_order = false;             // what jobs wrote is said in the order of the list
  bool tag = false;                    // and each line after its job's name
  std::chrono::milliseconds delay{0};  // from the begin of a job to that of the next
  int load = 0;                        // no job begins while so many tasks run; 0: whatever runs
  std::int64_t memory_free = 0;        // nor while less is free, in bytes
  std::vector<std::string> wrap;       // words before each command
  std::string job_log;                 // a file; empty: none
  bool resume = false;                 // what the log has is not run again,
  bool resume_failed = false;          // but for what failed
  output_mode output = output_mode::group;
  std::string directory;  // of output_mode::files
  bool json = false;
  bool quiet = false;
  std::optional<sort_key> sort;
  int rows = 20;
  uvreap::backend_kind backend = uvreap::backend_kind::automatic;
};
