// Jobs whose output is read from pipes and said line by line, as it comes.
#pragma once

#include <uv.h>

#include <array>
#include <memory>
#include <set>

#include "console.hpp"
#include "job_output.hpp"

class line_reader {
 public:
  line_reader(uv_loop_t& loop, console& console) : loop_(loop), console_(console) {}

  [[nodiscard]] std::unique_ptr<job_output> make(job_output::listener);
  void go_on();  // to read, after the console was behind

 private:
  class line_output;
  struct line_stream;

  uv_loop_t& loop_;
  console& console_;
  std::set<line_stream*> streams_;   // open
  bool is_held_ = false;             // nothing is read: the console is behind
  std::array<char, 65'536> buffer_;  // of whoever reads now
};
