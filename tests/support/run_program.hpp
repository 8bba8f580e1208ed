// uvreap run, from outside, in the index kind of this mode; and lists for it.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "demo_program.hpp"

namespace test {

// A place for files, gone with the process.
inline const std::filesystem::path& directory() {
  struct place {
    std::filesystem::path path;
    pid_t owner = ::getpid();
    place() {
      std::string name = (std::filesystem::temp_directory_path() / "uvreap-run-XXXXXX").string();
      path = ::mkdtemp(name.data());
    }
    ~place() {
      if (::getpid() == owner) std::filesystem::remove_all(path);
    }
  };
  static const place place;
  return place.path;
}

inline std::string list_of(const std::string& text) {
  static int lists = 0;
  auto path = directory() / ("list" + std::to_string(++lists));
  std::ofstream(path) << text;
  return path.string();
}

class run_program : public demo_program {
 public:
  explicit run_program(std::vector<std::string> arguments, where out = where::pipe)
      : demo_program(in_this_mode(std::move(arguments)), out) {}

 private:
  static std::vector<std::string> in_this_mode(std::vector<std::string> arguments) {
    const char* index = std::getenv("UVREAP_TEST_INDEX");
    std::vector<std::string> all{"run", "--index", index != nullptr ? index : "automatic"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
};

}  // namespace test
