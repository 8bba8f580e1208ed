// uvreap run, from outside, in the backend kind of this mode; and lists for it.
#pragma once

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "demo_program.hpp"

namespace test {

// Of this test file, for lists and what jobs leave.
inline const scratch_directory& directory() {
  static const scratch_directory directory;
  return directory;
}

inline std::string list_of(const std::string& text) {
  static int lists = 0;
  return directory().make("list" + std::to_string(++lists), text);
}

class run_program : public demo_program {
 public:
  explicit run_program(std::vector<std::string> arguments, where out = where::pipe)
      : demo_program(in_this_mode(std::move(arguments)), out) {}

 private:
  static std::vector<std::string> in_this_mode(std::vector<std::string> arguments) {
    const char* backend = std::getenv("UVREAP_TEST_BACKEND");
    std::vector<std::string> all{"run", "--backend", backend != nullptr ? backend : "automatic"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
};

// Arguments for a shell under it, where $U begins a uvreap run: for redirections, and signals that are
// ignored.
inline std::vector<std::string> by_shell(const std::string& script) {
  return {"-q", "--", "sh", "-c",
          "U=\"$UVREAP_DEMO run --backend ${UVREAP_TEST_BACKEND:-automatic}\"; " + script};
}

}  // namespace test
