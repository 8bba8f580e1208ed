// Times and sizes as people read them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <uvreap/child_exit.hpp>

std::string text_of(std::chrono::nanoseconds time);  // "3.1 ms", "1.25 s", "2 min 3 s"
std::string size_text(std::int64_t bytes);           // "1.4 MiB"
std::chrono::nanoseconds cpu_of(const uvreap::resource_usage&);
