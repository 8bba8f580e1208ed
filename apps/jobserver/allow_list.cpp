#include "allow_list.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace {

// Which program it names would hang on the directory that the server was started in.
bool is_relative(const std::string& program) {
  return program.find('/') != std::string::npos && program[0] != '/';
}

std::string not_allowed(const std::string& file, int number, const std::string& line) {
  return file + ":" + std::to_string(number) + ": neither a name nor an absolute path: " + line;
}

}  // namespace

allow_list allow_list::any() {
  allow_list all;
  all.allows_any_ = true;
  return all;
}

std::string allow_list::read(const std::string& file) {
  std::ifstream lines(file);
  std::set<std::string> programs;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.starts_with('#')) continue;
    if (is_relative(line)) return not_allowed(file, number, line);
    programs.insert(line);
  }
  if (!lines.eof()) return file + ": " + std::strerror(errno);
  programs_ = std::move(programs);
  return {};
}
