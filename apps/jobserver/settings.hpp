// What the server is asked to do.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <uvreap/statistics.hpp>
#include <vector>

struct settings {
  int port = 8080;                               // 0: any
  std::vector<std::string> listen{"127.0.0.1"};  // addresses, and paths of Unix sockets
  std::string allow;                             // a file; empty: nothing may run
  bool allow_any = false;
  std::string token_file;
  std::vector<std::string> origins;  // of pages that a proxy serves under another name than Host's
  std::string state;                 // a directory; empty: jobs are forgotten with the server
  bool logs_json = false;

  int max_jobs = 64;       // that run
  int max_queue = 1000;    // that wait
  int max_clients = 2000;  // connections
  std::size_t max_body = std::size_t{1} << 20;
  int keep = 1000;                                  // jobs that have ended
  std::size_t keep_output = std::size_t{64} << 10;  // of each stream of a job
  std::size_t keep_memory = std::size_t{64} << 20;  // of all jobs that have ended, and of all that wait

  std::chrono::milliseconds grace{5000};
  uvreap::backend_kind backend = uvreap::backend_kind::automatic;

  // From the command line. An exit status: there is nothing to do (--help) or it is wrong, and that has been
  // said.
  [[nodiscard]] std::optional<int> read(int argc, char** argv);
};
