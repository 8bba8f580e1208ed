// What uvreap init says of itself: its manual page and its --help name the same options.
#include <doctest/doctest.h>

#include <cstdlib>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "support/supervised.hpp"
#include "support/texts.hpp"

namespace {

using options = std::set<std::string>;

// Of "  -r, --rewrite FROM:TO hand ...": both.
options options_of_help(const std::string& help) {
  options found;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  -")) continue;
    std::istringstream words(line);
    for (std::string word; words >> word && word.front() == '-';) {
      word = word.substr(0, word.find_first_of(",=["));
      found.insert(word);
    }
  }
  return found;
}

// Of ".It Fl r , Fl -rewrite Ar from": both.
options options_of_manual(const std::string& manual) {
  options found;
  std::istringstream lines(manual);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(".It Fl ")) continue;
    static const std::regex flag("Fl ([-a-zA-Z]+)");
    for (std::sregex_iterator one(line.begin(), line.end(), flag), end; one != end; ++one) {
      found.insert('-' + (*one)[1].str());
    }
  }
  return found;
}

std::string joined(const options& all) {
  std::string text;
  for (const std::string& one : all) text += one + ' ';
  return text;
}

}  // namespace

TEST_CASE("the manual page and --help name the same options") {
  test::supervised help({std::getenv("UVREAP_INIT"), "--help"});
  REQUIRE(help.end() == 0);
  options helped = options_of_help(help.output());
  CHECK(helped.size() > 15);
  CHECK(joined(helped) == joined(options_of_manual(test::contents(test::from_environment("UVREAP_MANUAL")))));
}

TEST_CASE("every option that --help names is understood") {
  test::supervised help({std::getenv("UVREAP_INIT"), "--help"});
  REQUIRE(help.end() == 0);
  for (const std::string& one : options_of_help(help.output())) {
    if (one == "-P") continue;  // alone it waits
    CAPTURE(one);
    test::supervised run({std::getenv("UVREAP_INIT"), one});
    (void)run.end();
    CHECK(run.errors().find("no such option") == std::string::npos);
  }
}
