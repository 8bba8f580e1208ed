// What is logged, a line each: every job, when it has ended, and every request that was refused; to stderr,
// as text or as JSON.
//
// A reader of stderr that does not read holds nothing up, neither the loop nor the server's end: a line is
// written if poll(2) says that it will be taken, which a pipe does while it has room for 4 096 bytes. Others
// wait, and beyond a bound they are dropped, and their number is said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "http.hpp"
#include "job.hpp"

class logger {
 public:
  explicit logger(bool as_json) : as_json_(as_json) {}

  void job_ended(const job&);
  void refused(const http_request&, const http_answer&);
  void note(const std::string& text);

  bool flush();  // what waits, as far as it is taken; false: some still waits
  [[nodiscard]] std::uint64_t dropped() const { return all_dropped_; }

 private:
  using fields = nlohmann::ordered_json;
  void write(const std::function<fields()>&, const std::string& text);
  void put(std::string line);

  bool as_json_;
  std::uint64_t dropped_ = 0;  // and not yet said
  std::uint64_t all_dropped_ = 0;
  std::deque<std::string> waiting_;
};
