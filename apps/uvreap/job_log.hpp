// --joblog: a line for each job that has ended, in the columns of GNU parallel, so that what reads its logs
// reads ours; and which jobs of an earlier run need not be run again.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "job.hpp"
#include "run_report.hpp"
#include "run_settings.hpp"

class job_log {
 public:
  job_log() = default;
  ~job_log();
  job_log(const job_log&) = delete;
  job_log& operator=(const job_log&) = delete;

  // Empty: it is open. A log that is not resumed is written anew. What else is wrong with it, as text.
  [[nodiscard]] std::string open(const run_settings&);

  enum class entry { none, done, another };  // another: that number had another command
  [[nodiscard]] entry look_up(const job&) const;

  // A line, which write_out() writes: not before what the job wrote is written, too, or --resume would take
  // it for done.
  void add(const job&, const job_end&);
  [[nodiscard]] std::string write_out();  // empty, or what is wrong

 private:
  [[nodiscard]] std::string read(bool failed_are_run);
  [[nodiscard]] std::string cannot_write(int error) const;

  std::string path_;  // for people
  int file_ = -1;
  std::string unwritten_;
  std::unordered_map<std::uint64_t, std::size_t> done_;  // by number: the hash of the command
};
