// What the demo says, as text for people or as one JSON object a line for programs.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <uvreap/child_exit.hpp>
#include <uvreap/statistics.hpp>

#include "../shared/output.hpp"

class report {
 public:
  struct summary {
    std::uint64_t sum = 0;                    // turns of the loop
    std::chrono::nanoseconds elapsed{0};      // of the second experiment
    std::chrono::nanoseconds longest_gap{0};  // between two turns
    uvreap::statistics reaper;
  };

  virtual ~report() = default;

  // The first experiment: what each side of the fork sees.
  virtual void in_child(pid_t child_pid, int a) = 0;  // returns when it is written: the child ends after it
  virtual void in_parent(pid_t child_pid, int a) = 0;

  // The second experiment.
  virtual void begin(int children, double seconds) = 0;
  virtual void forked(pid_t, std::chrono::nanoseconds sleep) = 0;
  virtual void working(std::uint64_t sum, int children_left) = 0;
  virtual void ended(const uvreap::child_exit&, std::chrono::nanoseconds wall) = 0;
  virtual void interrupted(int signum, int children_left) = 0;
  virtual void end(const summary&) = 0;
};

std::unique_ptr<report> make_text_report(output&);
std::unique_ptr<report> make_json_report(output&);
