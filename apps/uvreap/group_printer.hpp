// Jobs that write into files without a name, printed in one piece when they have ended, one after another.
//
// Files, and not pipes: nobody has to read while the job runs, however much it writes, and whoever it left
// behind with its output cannot hold us up.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>

#include "console.hpp"
#include "job_output.hpp"

class group_printer {
 public:
  explicit group_printer(console& console) : console_(console) {}

  [[nodiscard]] std::unique_ptr<job_output> make(job_output::listener);
  void go_on();  // as long as the console is not behind

 private:
  class grouped_output;

  void print(grouped_output&);
  void gone(grouped_output&);

  console& console_;
  std::deque<grouped_output*> waiting_;
  bool is_printing_ = false;
};
