// One job: what was asked for, and how it went.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <uvreap/child_exit.hpp>

#include "job_input.hpp"
#include "job_output.hpp"
#include "job_request.hpp"

enum class stream : std::uint8_t { output, error_output };

struct job {
  using json = nlohmann::ordered_json;
  enum class ending : std::uint8_t { none, exited, killed, lost, canceled, not_started };

  std::int64_t number = 0;  // in the store
  std::string id;
  std::string client;  // who asked for it
  job_request asked;
  std::size_t input_bytes = 0;  // the input itself goes to the job when it starts
  std::chrono::system_clock::time_point created{};

  // From its start on.
  pid_t pid = 0;
  std::optional<std::chrono::system_clock::time_point> started{};
  std::uint64_t started_ns = 0;  // uv_hrtime
  std::unique_ptr<job_input> input{};
  std::array<std::unique_ptr<job_output>, 2> outputs{};
  bool is_terminated = false;  // somebody asked for its end

  // At its end. The exit may come before the last of the outputs.
  std::optional<uvreap::child_exit> exit{};
  bool is_cut_by_time = false;
  ending end = ending::none;
  std::string why_not_started{};
  std::chrono::nanoseconds wall{0};

  [[nodiscard]] bool has_ended() const { return end != ending::none; }
  [[nodiscard]] bool runs() const { return started && !has_ended(); }
  [[nodiscard]] double wall_ms() const;  // until now, of one that runs
  [[nodiscard]] std::string status() const;

  // Everything. position: of one that waits, from 1.
  [[nodiscard]] json full(std::size_t position = 0) const;
  [[nodiscard]] json brief(std::size_t position = 0) const { return brief_of(full(position)); }

  // The same, with no more of argv than a line: a page of a thousand jobs must not become as large as their
  // arguments may be.
  [[nodiscard]] static json brief_of(json full);
  [[nodiscard]] static bool is_brief(const json& full);
};

// A line. Text that came from outside may be no UTF-8: what is not is replaced.
[[nodiscard]] std::string text_of(const job::json&);
