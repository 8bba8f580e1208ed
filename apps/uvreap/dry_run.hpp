// Prints the jobs of a run in place of running them: as command lines for sh, or as a list of JSON objects.
#pragma once

#include <uv.h>

#include <memory>
#include <string>

#include "console.hpp"
#include "job_list.hpp"
#include "run_settings.hpp"

class dry_run {
 public:
  dry_run(uv_loop_t&, const run_settings&, console&);

  void start();
  void fail(const std::string& what);  // an error of our own: said, and everything ends

  [[nodiscard]] int exit_status() const { return has_failed_ ? our_error : 0; }

 private:
  void go_on();
  void print(const job&);
  void complain(const std::string& what);

  uv_loop_t& loop_;
  const run_settings& settings_;
  console& console_;
  std::unique_ptr<job_list> list_;
  bool has_failed_ = false;
};
