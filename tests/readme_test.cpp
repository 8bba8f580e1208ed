// What the README shows is what the build compiled and what the program prints.
#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  REQUIRE_MESSAGE(value != nullptr, name);
  return value;
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

// Numbers differ from run to run, and the backend from machine to machine; the words before them do not. (Not
// by std::regex: with -fsanitize=address gcc 12 sees uninitialized memory in it.)
std::string shape(const std::string& text) {
  const std::set<std::string> before_a_number = {"pid",    "(user",    "system", "RSS",
                                                 "faults", "switches", "blocks"};
  std::istringstream words(text);
  std::string all;
  std::string before;
  for (std::string word; words >> word; before = word) {
    if (before_a_number.contains(before)) word.replace(0, word.find_first_not_of("0123456789+"), "N");
    if (before == "by") word.replace(0, word.find_first_of("),;"), "X");
    all += word + ' ';
  }
  return all;
}

}  // namespace

TEST_CASE("the README's first examples are the files that are compiled, and print what the README says") {
  std::string readme = contents(from_environment("UVREAP_README"));
  std::string suffix;
  SUBCASE("in C++") { suffix = "CPP"; }
  SUBCASE("in C") { suffix = "C"; }
  std::string source = contents(from_environment(("UVREAP_FIRST_SOURCE_" + suffix).c_str()));
  std::string shown = (suffix == "C" ? "```c\n" : "```cpp\n") + source + "```";
  CHECK_MESSAGE(readme.find(shown) != std::string::npos, "the example's text differs");

  std::string printed = output_of(from_environment(("UVREAP_FIRST_" + suffix).c_str()));
  CHECK(printed.starts_with("pid "));
  CHECK_MESSAGE(shape(readme).find(shape(printed)) != std::string::npos, shape(printed));
}
