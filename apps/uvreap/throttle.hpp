// Whether the next job may begin: --delay, --load and --memfree.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "run_settings.hpp"

class throttle {
 public:
  explicit throttle(const run_settings& settings) : settings_(settings) {}

  // Empty: it may. Else ask again after so long.
  [[nodiscard]] std::optional<std::chrono::milliseconds> wait(std::chrono::nanoseconds now);
  void begun(std::chrono::nanoseconds now) { last_ = now; }

  [[nodiscard]] const std::string& reason() const { return reason_; }  // of a wait for others; empty: none

 private:
  const run_settings& settings_;
  std::optional<std::chrono::nanoseconds> last_;
  std::string reason_;
};

// "64M": K, M, G and T are powers of 1024. Empty: that is no size.
[[nodiscard]] std::optional<std::int64_t> size_from(std::string_view text);
