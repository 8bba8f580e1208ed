// The Range of a request (RFC 9110, 14.1): one range of bytes.
#pragma once

#include <cstddef>
#include <string_view>

struct byte_range {
  enum class kind { whole, part, unsatisfiable } what;  // whole: what cannot be read is ignored
  std::size_t begin = 0;
  std::size_t length = 0;

  [[nodiscard]] static byte_range of(std::string_view field, std::size_t total);
};
