// What HTTP may ask of the server, where no option says it.
#pragma once

#include <cstddef>

constexpr std::size_t longest_path = 1024;      // and as much in its arguments, which nothing here reads
constexpr unsigned longest_headers = 8 * 1024;  // all together
constexpr int idle_seconds = 60;                // between two requests of a connection
constexpr int header_seconds = 10;              // until the first headers are there
constexpr int exchange_seconds = 30;            // from a request's headers to the last byte of its answer
constexpr int kernel_keeps = 64 * 1024;         // bytes sent to a client and not yet taken by it
