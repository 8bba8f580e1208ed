// How the programs put values into text.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <sstream>
#include <string>

#include "os/c_library.hpp"

// What << prints of it.
template <class T>
std::string streamed(const T& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

// printf into a string: its field widths keep a thousand lines in columns.
template <class... Values>
std::string print(const char* format, Values... values) {
  char text[512];
  int length = std::snprintf(text, sizeof text, format, values...);
  return {text, std::min(static_cast<std::size_t>(length), sizeof text - 1)};
}

inline std::int64_t microseconds_of(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

inline std::string signal_name(int signum) {
  const char* name = uvreap::c_library::signal_abbreviation(signum);  // none for the real-time signals
  return "SIG" + (name != nullptr ? std::string(name) : std::to_string(signum));
}
