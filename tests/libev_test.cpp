// docs/libev.md: the two programs that it shows are those that are compiled, and they print what it says.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "support/texts.hpp"

namespace {

using test::contents;
using test::from_environment;
using test::output_of_success;

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
  CHECK(page.find("```text\n" + printed + "```\n") != std::string::npos);
}

TEST_CASE("the port prints what the page says") {
  CHECK(output_of_success(from_environment("UVREAP_PORT")) == printed);
}

TEST_CASE("and so does what it was before, where libev is installed") {
  const char* before = std::getenv("UVREAP_BEFORE");
  if (before != nullptr) CHECK(output_of_success(before) == printed);
}
