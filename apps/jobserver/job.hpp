// One job: what was asked for, and how it went.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <uvreap/child_exit.hpp>
#include <vector>

#include "job_input.hpp"

struct job {
  using json = nlohmann::ordered_json;

  std::uint64_t id = 0;
  pid_t pid = 0;
  std::vector<std::string> argv;
  std::chrono::milliseconds timeout{0};
  std::chrono::system_clock::time_point started{};
  std::uint64_t started_ns = 0;  // uv_hrtime
  bool is_terminated = false;    // somebody asked for its end
  std::unique_ptr<job_input> input;

  std::optional<uvreap::child_exit> end;  // empty: it runs
  std::chrono::nanoseconds wall{0};

  [[nodiscard]] std::size_t memory() const;
  [[nodiscard]] double wall_ms() const;  // until now, of one that runs

  [[nodiscard]] json brief() const;  // without output, and argv no longer than a line
  [[nodiscard]] json full() const;
};

// Text that came from outside may be no UTF-8: what is not is replaced.
[[nodiscard]] std::string text_of(const job::json&);
