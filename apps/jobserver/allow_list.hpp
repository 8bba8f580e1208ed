// Which commands may run: those that a file names, one a line, exactly as argv[0] will name them.
//
//     # comment
//     /usr/bin/make
//     date
#pragma once

#include <set>
#include <string>
#include <string_view>

class allow_list {
 public:
  allow_list() = default;  // nothing may run
  [[nodiscard]] static allow_list any();

  // Empty, or why the file cannot be used; then nothing changed.
  [[nodiscard]] std::string read(const std::string& file);

  [[nodiscard]] bool allows(const std::string& program) const {
    return allows_any_ || programs_.contains(program);
  }

 private:
  bool allows_any_ = false;
  std::set<std::string> programs_;
};
