// Times and sizes as people read and write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <uvreap/child_exit.hpp>

std::string text_of(std::chrono::nanoseconds time);  // "3.1 ms", "1.25 s", "2 min 3 s"
std::string size_text(std::int64_t bytes);           // "1.4 MiB"
std::chrono::nanoseconds cpu_of(const uvreap::resource_usage&);

// 0 to 1e9 seconds, rounded up; empty: it is none of these.
std::optional<std::chrono::milliseconds> time_from(double seconds);
std::optional<std::chrono::milliseconds> time_from(std::string_view text);  // "1.5", "90s", "5m", "2h", "1d"
