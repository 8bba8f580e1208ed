// All outputs of a run, of the kind that its settings ask for.
#pragma once

#include <uv.h>

#include <memory>

#include "console.hpp"
#include "job.hpp"
#include "job_output.hpp"
#include "job_pipes.hpp"
#include "printer.hpp"
#include "run_settings.hpp"

class job_outputs {
 public:
  job_outputs(uv_loop_t&, console&, const run_settings&);

  [[nodiscard]] int open();  // UV_E*: the directory cannot be made
  [[nodiscard]] std::unique_ptr<job_output> make(const job&, int attempt, job_output::listener);

  void expect(const job&, int attempt);  // it will be made
  void dismiss(const job&, int attempt);
  void go_on();  // the console is no longer behind

 private:
  void take_reserve();

  uv_loop_t& loop_;
  const run_settings& settings_;
  read_buffer buffer_;
  printer printer_;
};
