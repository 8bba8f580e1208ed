// docs/libev.md: the two programs that it shows are those that are compiled, and they print what it says.
#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  REQUIRE_MESSAGE(value != nullptr, name);
  return value;
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string output_of(const std::string& program) {
  FILE* pipe = ::popen(program.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  std::array<char, 256> part{};
  while (std::fgets(part.data(), part.size(), pipe) != nullptr) text += part.data();
  CHECK(::pclose(pipe) == 0);
  return text;
}

bool shows(const std::string& page, const std::string& source) {
  return page.find("```c\n" + contents(source) + "```") != std::string::npos;
}

const std::string printed = "stopped\ncontinued\nkilled by signal 15\n";

}  // namespace

TEST_CASE("the page shows the programs that are compiled, and what they print") {
  std::string page = contents(from_environment("UVREAP_PAGE"));
  std::string examples = from_environment("UVREAP_EXAMPLES");
  CHECK(shows(page, examples + "/libev.c"));
  CHECK(shows(page, examples + "/from_libev.c"));
  CHECK(page.find("    stopped\n    continued\n    killed by signal 15\n") != std::string::npos);
}

TEST_CASE("the port prints what the page says") {
  CHECK(output_of(from_environment("UVREAP_PORT")) == printed);
}

TEST_CASE("and so does what it was before, where libev is installed") {
  const char* before = std::getenv("UVREAP_BEFORE");
  if (before != nullptr) CHECK(output_of(before) == printed);
}
