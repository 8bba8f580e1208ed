// Times and sizes as people read them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <uvreap/resource_usage.hpp>

// printf into a string: its field widths keep a thousand lines in columns.
template <class... Values>
std::string print(const char* format, Values... values) {
  char text[512];
  int length = std::snprintf(text, sizeof text, format, values...);
  return {text, std::min(static_cast<std::size_t>(length), sizeof text - 1)};
}

std::string text_of(std::chrono::nanoseconds time);  // "3.1 ms", "1.25 s", "2 min 3 s"
std::string size_text(std::int64_t bytes);           // "1.4 MiB"
std::int64_t microseconds_of(std::chrono::nanoseconds time);
std::chrono::nanoseconds cpu_of(const uvreap::resource_usage&);
