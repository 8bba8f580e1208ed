// A job as a child: its program is found, its limits set and its standard input made.
#pragma once

#include <sys/types.h>

#include <string>
#include <uvreap/reaper.hpp>

#include "job.hpp"

class job_command {
 public:
  explicit job_command(const job&);
  ~job_command();
  job_command(const job_command&) = delete;
  job_command& operator=(const job_command&) = delete;

  uvreap::command what;  // to be completed by the caller; its program is found, its limits are set

  // As reaper::spawn(), whose errors why() has words for.
  [[nodiscard]] int spawn(uvreap::reaper&, pid_t* out, const uvreap::watch_options&, const uvreap::callback&);
  [[nodiscard]] std::string why(int error) const;

 private:
  [[nodiscard]] int make_input();
  [[nodiscard]] int find_and_limit();

  const job& job_;
  int error_;  // of that
  int input_ = -1;
};
