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

  std::optional<std::size_t> good_bytes;  // before what is wrong; empty: the parser does not say
};

// Throws broken_json, for a number that no double can hold, too.
[[nodiscard]] nlohmann::json parse_json(std::string_view);
