// Ids that never repeat, and whose order is that in which they were made: UUIDs of version 7 (RFC 9562, 5.7).
//
//     uuid7 ids;
//     ids.next();  // "019af2d4-8c5e-7000-9f3b-6c1d2e4a5b60"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

class uuid7 {
 public:
  // What is made from now on is greater than this one, whatever the clock says.
  void go_on_after(std::string_view id);

  [[nodiscard]] std::string next();

  // As it makes them: 36 characters, in lower case.
  [[nodiscard]] static bool is_one(std::string_view);

 private:
  std::uint64_t last_ = 0;  // milliseconds since 1970, and below them 12 bits that count within each
};
