// A command to be run, as a line of the list says it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

struct job {
  std::uint64_t number = 0;  // its place in the list, from 1
  std::string name;
  std::vector<std::string> argv;
  std::string cwd;
  std::map<std::string, std::string> env;            // added to ours
  std::optional<std::string> input;                  // what it reads from standard input; empty: nothing
  std::map<std::string, std::string> limits;         // by name, as prlimit(1) has them
  std::optional<std::chrono::milliseconds> timeout;  // empty: that of all
  std::optional<int> retries;                        // empty: that of all
};

// A job without a name is called by the beginning of its command line.
[[nodiscard]] std::string name_of(const std::vector<std::string>& argv);
[[nodiscard]] job job_of(std::vector<std::string> argv);
[[nodiscard]] job shell_job_of(const std::string& text);  // sh reads the text

// The words before its command that set its limits: prlimit(1) and its options.
[[nodiscard]] std::vector<std::string> limit_words(const job&);

// What sh would have to be given to do the same: the command in its directory, with its variables, limits and
// standard input.
[[nodiscard]] std::string shell_text(const job&);
