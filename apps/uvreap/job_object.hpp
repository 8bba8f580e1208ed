// A job out of its JSON object.
//
//     {"name": "small", "argv": ["make"], "cwd": "/src", "env": {"CC": "clang"}, "stdin": "text",
//      "rlimits": {"nofile": 64, "core": "unlimited"}, "timeout": "5m", "retries": 2}
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "job.hpp"

// What is wrong with one of its values; what() says what would have been right.
struct wrong_value : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[nodiscard]] job job_from(const nlohmann::json&);  // throws wrong_value

[[nodiscard]] nlohmann::ordered_json object_of(const job&);  // which job_from() reads as the same job
