// What a client asks for: the body of POST /jobs.
//
//     {"argv": ["sort", "-u"], "timeout": 10, "stdin": "b\na\n"}
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct job_request {
  std::vector<std::string> argv;
  std::chrono::milliseconds timeout{0};  // 0: none
  std::optional<std::string> input;      // empty: /dev/null

  // Empty, or what is wrong with the text; then nothing changed.
  [[nodiscard]] std::string read(std::string_view text);
};
