// What --stats writes when all is over.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <uvreap/child_exit.hpp>
#include <uvreap/statistics.hpp>

namespace pid1 {

struct report {
  uvreap::child_exit child{};        // pid 0: there was none
  std::chrono::nanoseconds wall{0};  // of the child
  std::uint64_t orphans = 0;
  std::uint64_t orphans_killed = 0;  // those among them that a signal ended
  std::uint64_t warnings_dropped = 0;
  std::uint64_t forwarded = 0;    // signals
  bool killed_leftovers = false;  // the grace was over
  uvreap::statistics reaper{};

  [[nodiscard]] std::string json(int exit_status) const;  // a line
};

}  // namespace pid1
