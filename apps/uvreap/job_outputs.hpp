// All outputs of a run, of the kind that its settings ask for.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>

#include "console.hpp"
#include "group_printer.hpp"
#include "job_output.hpp"
#include "line_reader.hpp"
#include "run_settings.hpp"

class job_outputs {
 public:
  job_outputs(uv_loop_t&, console&, const run_settings&);

  [[nodiscard]] int open();  // UV_E*: the directory cannot be made
  [[nodiscard]] std::unique_ptr<job_output> make(std::uint64_t job, job_output::listener);
  void go_on();  // the console is no longer behind

 private:
  const run_settings& settings_;
  group_printer printer_;
  line_reader reader_;
};
