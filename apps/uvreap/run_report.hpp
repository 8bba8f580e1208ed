// What uvreap run says: lines and a table for people, or one JSON object a line for programs.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <uvreap/child_exit.hpp>
#include <uvreap/statistics.hpp>
#include <vector>

#include "console.hpp"
#include "job.hpp"
#include "job_output.hpp"
#include "run_settings.hpp"

// How one attempt at a job ended.
struct job_end {
  int attempt = 1;
  pid_t pid = 0;
  int error = 0;         // UV_E*: it was never there, and the rest is empty
  std::string reason{};  // of that error, in words
  uvreap::child_exit exit{};
  int output_error = 0;         // UV_E*: some of its output is lost
  std::uint64_t bytes_out = 0;  // that it wrote to standard output
  std::chrono::system_clock::time_point began{};
  std::chrono::nanoseconds wall{0};
  bool tried_again = false;
  bool cut_off = false;  // it was ended since all had to end

  [[nodiscard]] bool failed() const {
    return error != 0 || output_error != 0 || exit.timed_out || !exit.status.success();
  }
  [[nodiscard]] std::string text() const;  // "exited with 3", "cannot be run: no such file or directory"
};

struct running_job {
  std::string name;
  std::chrono::nanoseconds age{0};
  bool is_stopped = false;  // by a signal, and not by us
};

struct run_totals {
  std::uint64_t done = 0;    // jobs that ended well, and
  std::uint64_t failed = 0;  // those that did not
  std::uint64_t retries = 0;
  std::uint64_t list_errors = 0;
  std::uint64_t skipped = 0;  // that an earlier run has done
  std::uint64_t not_run = 0;  // that never began, since we had to stop, and
  bool knows_not_run = true;  // that is all of them: the list was read to its end
  int running = 0;
  std::chrono::nanoseconds wall{0};
  std::optional<double> seconds_left{};
  std::optional<std::uint64_t> expected{};  // jobs, of the whole list
  bool knows_expected = false;              // it was read to its end; else that is a guess
  std::string waits_for{};                  // why no more jobs begin; empty: they do
  std::vector<running_job> eldest{};        // of those that run, a few
  uvreap::statistics reaper{};
};

class run_report {
 public:
  virtual ~run_report() = default;

  virtual void started(const job&, int attempt, pid_t) = 0;
  virtual void wrote(const job&, stream, std::string_view lines) = 0;
  virtual void noted(const job&, const std::string& what) = 0;
  virtual void ended(const job&, const job_end&) = 0;
  virtual void complained(const std::string& what) = 0;  // about the list, or of an error of our own
  virtual void interrupted(const std::string& signal, int running) = 0;
  virtual void working(const run_totals&) = 0;
  virtual void finished(const run_totals&) = 0;
};

std::unique_ptr<run_report> make_text_run_report(console&, const run_settings&);
std::unique_ptr<run_report> make_json_run_report(console&, bool on_stderr);
std::unique_ptr<run_report> make_one_command_report(console&, const run_settings&);
