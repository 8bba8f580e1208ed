// Texts that a test compares: a variable's, a file's, and what a command of this machine prints.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace test {

inline std::string from_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  REQUIRE_MESSAGE(value != nullptr, name);
  return value;
}

inline std::string contents(const std::string& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// However the command ends; *status is as of waitpid(2).
inline std::string output_of(const std::string& command, int* status = nullptr) {
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 4096> part{};
  for (std::size_t length; (length = std::fread(part.data(), 1, part.size(), pipe)) > 0;)
    text.append(part.data(), length);
  int ended = ::pclose(pipe);
  if (status != nullptr) *status = ended;
  return text;
}

// Of one that has to succeed.
inline std::string output_of_success(const std::string& command) {
  int status = -1;
  std::string text = output_of(command, &status);
  REQUIRE(status == 0);
  return text;
}

}  // namespace test
