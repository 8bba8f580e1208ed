// The rows that come first in some order, and of the others only how many: it does not grow with the jobs.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "run_report.hpp"

class job_table {
 public:
  job_table(sort_key key, std::size_t rows) : key_(key), rows_(rows) {}

  void add(const job&, const job_end&);
  [[nodiscard]] std::string text();

 private:
  struct row {
    std::uint64_t number;
    std::string name;
    std::string status;
    bool failed;
    std::chrono::nanoseconds wall;
    std::chrono::nanoseconds cpu;
    std::int64_t rss;
  };

  [[nodiscard]] bool comes_first(const row&, const row&) const;
  void keep_the_first();

  sort_key key_;
  std::size_t rows_;
  std::vector<row> kept_;
  std::uint64_t dropped_ = 0;
};
