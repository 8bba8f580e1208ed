// What a client asks for: the body of POST /v1/jobs.
//
//     {"argv": ["sort", "-u"], "timeout": 10, "stdin": "b\na\n", "cwd": "/tmp", "env": {"LC_ALL": "C"}}
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct job_request {
  std::vector<std::string> argv;
  std::chrono::milliseconds timeout{0};  // 0: none
  std::optional<std::string> input;      // empty: /dev/null
  std::string cwd;                       // empty: the server's
  std::map<std::string, std::string> env;

  [[nodiscard]] std::size_t memory() const;

  // Empty, or what is wrong with the text; then nothing changed.
  [[nodiscard]] std::string read(std::string_view text);
};
