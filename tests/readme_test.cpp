// What the README shows is what the build compiled and what the program prints.
#include <doctest/doctest.h>

#include <set>
#include <sstream>
#include <string>

#include "support/texts.hpp"

namespace {

using test::contents;
using test::from_environment;

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
  std::string source = contents(from_environment("UVREAP_FIRST_SOURCE_" + suffix));
  std::string shown = (suffix == "C" ? "```c\n" : "```cpp\n") + source + "```";
  CHECK_MESSAGE(readme.find(shown) != std::string::npos, "the example's text differs");

  std::string printed = test::output_of_success(from_environment("UVREAP_FIRST_" + suffix));
  CHECK(printed.starts_with("pid "));
  CHECK_MESSAGE(shape(readme).find(shape(printed)) != std::string::npos, shape(printed));
}
