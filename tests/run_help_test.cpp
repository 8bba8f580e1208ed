// uvreap run: --help, the man page, docs/run.md and the completion for bash name the same options.
#include <doctest/doctest.h>

#include <cstdlib>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"
#include "support/texts.hpp"

namespace {

using test::run_program;

struct option {
  std::set<std::string> names;
  bool takes_value = false;
  friend auto operator<=>(const option&, const option&) = default;
};
using options = std::set<option>;

std::ostream& operator<<(std::ostream& to, const options& all) {
  for (const option& one : all) {
    for (const std::string& name : one.names) to << name << ' ';
    to << (one.takes_value ? "VALUE; " : "; ");
  }
  return to;
}

std::string file_of(const char* variable) {
  std::string text = test::contents(test::from_environment(variable));
  REQUIRE(!text.empty());
  return text;
}

std::string help() {
  run_program run({"--help"});
  REQUIRE(run.end() == 0);
  return run.output;
}

std::vector<std::string> matches(const std::string& text, const char* expression) {
  std::vector<std::string> found;
  std::regex regex(expression);
  for (std::sregex_iterator one(text.begin(), text.end(), regex), end; one != end; ++one)
    found.push_back(one->str(1));
  return found;
}

// "  -j,--jobs N      how many run at once"
options options_of_help(const std::string& text) {
  options all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch parts;
    if (!std::regex_match(line, parts, std::regex("  (-[^ ]+)( [^ ]+)?( .*)?"))) continue;
    auto names = matches(parts.str(1), "([^,]+)");
    all.insert({{names.begin(), names.end()}, parts[2].matched && parts.str(2) != " Excludes:"});
  }
  return all;
}

// ".It Fl j , -jobs Ar N", between OPTIONS and the first list's end; a long option is "-jobs" there.
options options_of_man(const std::string& text) {
  options all;
  std::istringstream lines(text.substr(text.find(".Sh OPTIONS")));
  for (std::string line; std::getline(lines, line) && line != ".El";) {
    if (!line.starts_with(".It Fl ")) continue;
    option one;
    std::istringstream words(line.substr(7));
    std::string word;
    for (; words >> word && word != "Ar" && word != "Cm";) {
      if (word != ",") one.names.insert('-' + word);
    }
    one.takes_value = static_cast<bool>(words);
    all.insert(one);
  }
  return all;
}

std::set<std::string> names_of(const options& all) {
  std::set<std::string> names;
  for (const option& one : all) names.insert(one.names.begin(), one.names.end());
  return names;
}

// What bash would offer for the last of these words, a line each.
std::string completed(const std::string& words) {
  std::string uvreap = std::getenv("UVREAP_DEMO");
  std::string script = "source '" + std::string(std::getenv("UVREAP_COMPLETION")) + "'; COMP_WORDS=(uvreap " +
                       words + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _uvreap '" + uvreap +
                       "'; printf '%s\\n' \"${COMPREPLY[@]}\"";
  run_program run({"-q", "--", "bash", "-c", script});
  CHECK(run.end() == 0);
  CHECK(run.errors == "");
  return run.output;
}

bool has_line(const std::string& text, const std::string& line) {
  return ('\n' + text).find('\n' + line + '\n') != std::string::npos;
}

}  // namespace

TEST_CASE("--help and the man page name the same options, and whether they take a value") {
  test::clean_floor floor;
  options in_help = options_of_help(help());
  CHECK(in_help.size() > 15);
  CHECK(in_help == options_of_man(file_of("UVREAP_RUN_MAN")));
}

TEST_CASE("options that docs/run.md names are there") {
  test::clean_floor floor;
  auto names = names_of(options_of_help(help()));
  auto long_ones = matches(file_of("UVREAP_RUN_PAGE"), "[ `(](--[a-z][a-z-]*)");
  CHECK(long_ones.size() > 1);
  for (const std::string& name : long_ones) CHECK_MESSAGE(names.contains(name), name);
}

TEST_CASE("no line of --help is wider than a man page") {
  test::clean_floor floor;
  std::istringstream lines(help());
  for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(line.size() <= 110, line);
}

TEST_CASE("help and version that cannot be written are no success") {
  test::clean_floor floor;
  for (const char* option : {"--help", "--version"})
    CHECK(run_program({option}, test::where::full_disk).end() == 255);
}

TEST_CASE("bash completes every option, its words, files and commands") {
  test::clean_floor floor;
  std::string offered = completed("run -");
  for (const std::string& name : names_of(options_of_help(help())))
    CHECK_MESSAGE(has_line(offered, name), name);
  CHECK(completed("run --dr") == "--dry-run\n");
  CHECK(completed("run --sort w") == "wall\n");
  CHECK(completed("run -j 4 --sort = w") == "wall\n");
  CHECK(completed("run --backend ''") == "automatic\nring\npidfd\npeek\n");
  CHECK(has_line(completed("''"), "run"));
  CHECK(has_line(completed("''"), "init"));
  for (const char* left_to_bash :
       {"run li", "run -a li", "run --output DI", "run --timeout 1", "run -- cat li"})
    CHECK_MESSAGE(completed(left_to_bash) == "\n", left_to_bash);
  CHECK(has_line(completed("run -- tru"), "true"));
}
