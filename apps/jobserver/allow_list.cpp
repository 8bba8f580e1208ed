#include "allow_list.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

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
    // Which program a relative path names would hang on the directory that the server was started in.
    bool is_relative = line.find('/') != std::string::npos && line[0] != '/';
    if (is_relative)
      return file + ":" + std::to_string(number) + ": neither a name nor an absolute path: " + line;
    programs.insert(line);
  }
  if (!lines.eof()) return file + ": " + std::strerror(errno);
  programs_ = std::move(programs);
  return {};
}
