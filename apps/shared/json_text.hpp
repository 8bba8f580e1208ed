// JSON that somebody else wrote: it may be broken, and that is said and not thrown on.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

struct broken_json : std::runtime_error {
  broken_json(const std::string& reason, std::optional<std::size_t> good)
      : std::runtime_error(reason), good_bytes(good) {}

  std::optional<std::size_t> good_bytes;  // before a syntax error; empty: it is JSON, but not for us
};

// Throws broken_json, also for a number that no double can hold and for a key that an object has twice.
[[nodiscard]] nlohmann::json parse_json(std::string_view);
