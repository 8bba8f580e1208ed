// uvreap run, from outside: what is shown of jobs while they run, and the table at the end.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <cwchar>
#include <sstream>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"
#include "support/variable.hpp"

namespace {

using test::by_shell;
using test::list_of;
using test::run_program;
using test::where;

// The numbers of the jobs in the table that ends what was said, from the top.
std::vector<int> table_in(const std::string& said) {
  std::vector<int> numbers;
  std::istringstream lines(said.substr(said.find("max RSS  status")));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line) && line.starts_with("  ")) numbers.push_back(std::atoi(line.c_str()));
  return numbers;
}

// What was drawn in place of one another.
std::vector<std::string> live_lines(const std::string& output) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; (at = output.find("\r\033[K", at)) != std::string::npos;) {
    at += 4;
    lines.push_back(output.substr(at, output.find_first_of("\r\n", at) - at));
  }
  return lines;
}

// Of a line without colours.
std::size_t columns_of(const std::string& line) {
  std::wstring wide(line.size() + 1, L'\0');
  std::size_t length = std::mbstowcs(wide.data(), line.c_str(), wide.size());
  REQUIRE(length <= line.size());
  return static_cast<std::size_t>(::wcswidth(wide.c_str(), length));
}

const char* const three =
    "{\"name\":\"b\",\"argv\":[\"sleep\",\"0.2\"]}\n"
    "{\"name\":\"c\",\"argv\":[\"sh\",\"-c\",\"exit 3\"]}\n"
    "{\"name\":\"a\",\"argv\":[\"sleep\",\"0.6\"]}\n";

}  // namespace

TEST_CASE("a terminal that knows no escape sequences gets plain lines") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  for (const char* kind : {"dumb", ""}) {
    CAPTURE(kind);
    const test::variable terminal("TERM", kind);
    run_program run({"-j1", "-k", list_of("sleep 0.3\nfalse\n")}, where::whole_terminal);
    CHECK(run.end() == 1);
    CHECK(run.count("#1 sleep 0.3 exited with 0") == 1);
    CHECK(run.output.find('\033') == std::string::npos);
    CHECK(run.output.find("\r\033") == std::string::npos);
  }
}

TEST_CASE("what jobs are called stays on its line, and commands no terminal") {
  test::clean_floor floor;
  auto list = list_of(R"({"name":"a\nb\u001b]0;title\u0007\u009b1m","argv":["false"]})"
                      "\nfalse '\033[31m' caf\303\251 '\377'\n");
  run_program run({"-j1", "-k", "--sort", "number", list});
  CHECK(run.end() == 2);
  CHECK(std::count(run.errors.begin(), run.errors.end(), '\n') == 6);
  for (const char* text :
       {R"(#1 a\nb\x1b]0;title\x07\xc2\x9b1m exited with 1)", R"(  a\nb\x1b]0;title\x07\xc2\x9b1m)",
        "#2 false \\x1b[31m caf\303\251 \\xff exited with 1"})
    CHECK_MESSAGE(run.errors.find(text) != std::string::npos, text, " is not in ", run.errors);
  for (char c : {'\033', '\007', '\233', '\377'}) CHECK(run.errors.find(c) == std::string::npos);

  run_program one({"--", "/nowhere/\033[31m"});
  CHECK(one.end() == 127);
  CHECK(one.errors.find(R"(/nowhere/\x1b[31m cannot be run)") != std::string::npos);
  run_program wrong({list_of("{\"a\\u001bb\": 1}\n")});
  CHECK(wrong.end() == 255);
  CHECK(wrong.errors.find(R"(unknown key "a\x1bb")") != std::string::npos);
}

TEST_CASE("on a terminal a line tells how far it is, and Ctrl-C ends the jobs") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  run_program run(
      {"-j2", list_of("false\nsleep 600\n{\"name\":\"the long one\",\"argv\":[\"sleep\",\"600\"]}\n")},
      where::whole_terminal);
  run.resize(200);
  REQUIRE(run.read_until("[######--------------] 1 of 3, \033[31m1 failed\033[0m, "));
  REQUIRE(run.read_until(" s the long one", 2));
  CHECK(run.output.rfind(" s sleep 600 | ") < run.output.rfind(" s the long one"));  // the eldest first
  CHECK(run.output.find(" s the long one | ") == std::string::npos);
  CHECK(run.count("/s") > 0);
  run.press('\003');
  CHECK(run.end() == test::signal_base + SIGINT);
  CHECK(run.count("uvreap run: SIGINT, ending 2 jobs; a second one kills at once") == 1);
  CHECK(run.count("#1 false exited with 1") == 1);
  CHECK(run.count("the long one killed by signal 15 (SIGTERM)") == 1);
  CHECK(run.processes() == 0);
  auto last_line_erased = run.output.rfind("\r\033[K");
  CHECK(run.output.find(" of 3, ", last_line_erased) == std::string::npos);
}

TEST_CASE("the live line fits the terminal, by columns and not by bytes, and follows its width") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  REQUIRE(std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr);
  std::string wide;
  for (int i = 0; i < 60; ++i) wide += "\u8a9e";  // two columns each
  run_program run({list_of("{\"name\":\"" + wide + "\",\"argv\":[\"sleep\",\"600\"]}\n")},
                  where::whole_terminal);
  run.resize(80);
  REQUIRE(run.read_until("0 of 1, 0 failed", 3));
  run.resize(31);
  std::size_t narrow_from = run.output.size();
  REQUIRE(run.read_until("0 of 1, 0 failed", run.count("0 of 1, 0 failed") + 5));
  std::vector<std::size_t> widths;
  for (std::string& line : live_lines(run.output)) widths.push_back(columns_of(line));
  CHECK(*std::max_element(widths.begin(), widths.end()) <= 79);
  CHECK(*std::max_element(widths.begin(), widths.end()) >= 78);
  auto narrow = live_lines(run.output.substr(narrow_from));
  REQUIRE(narrow.size() >= 3);
  CHECK(columns_of(narrow[narrow.size() - 2]) <= 30);  // the first of them may have been on its way
  CHECK(columns_of(narrow[narrow.size() - 2]) >= 29);
  run.press('\003');
  CHECK(run.end() == test::signal_base + SIGINT);
}

TEST_CASE("in the background of a shell nothing is drawn over its line") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  run_program run(by_shell("set -m; $U --output lines " + list_of("sh -c 'sleep 0.5; echo ended'\n") +
                           " & wait $!; echo status $?"),
                  where::whole_terminal);
  CHECK(run.end() == 0);
  CHECK(run.count("status 0") == 1);
  CHECK(run.count("0 of 1") == 0);
  CHECK(run.count("\033[K") == 0);
}

TEST_CASE("there is no colour where NO_COLOR asks for none") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  const test::variable none("NO_COLOR", "1");
  run_program run({"-j1", list_of("false\nsleep 600\n")}, where::whole_terminal);
  REQUIRE(run.read_until("1 of 2, 1 failed, "));
  CHECK(run.output.find("\033[31m") == std::string::npos);
  run.press('\003');
  CHECK(run.end() == test::signal_base + SIGINT);
}

TEST_CASE("a job that is stopped is shown as such") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  run_program run({list_of("sh -c 'kill -STOP $$'\n")}, where::whole_terminal);
  CHECK(run.read_until(" s stopped: sh -c kill"));
  run.press('\003');
  CHECK(run.end() == test::signal_base + SIGINT);
}

TEST_CASE("on a terminal the time that is left is guessed, and a table shows the slowest first") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  run_program run({"-j1", list_of(three)}, where::whole_terminal);
  CHECK(run.read_until(" s left"));
  CHECK(run.end() == 1);
  CHECK(table_in(run.output) == std::vector<int>{3, 1, 2});
  CHECK(run.count("3 jobs, 1 failed, ") == 1);
}

TEST_CASE("in a log a plain line tells now and then how far it is") {
  test::clean_floor floor;
  std::string fifo = test::directory() / "progress";
  auto list = list_of("true\nsh -c 'read x < " + fifo + "'\n");
  run_program run(test::by_shell("mkfifo " + fifo + "; $U -j1 " + list +
                                 " 2>&1 | while read -r line; do echo \"$line\"; "
                                 "case $line in *' of 2, '*) echo > " +
                                 fifo + ";; esac; done"));
  CHECK(run.end() == 0);
  CHECK(run.output.find("uvreap run: 1 of 2, 0 failed, ") != std::string::npos);
  CHECK(run.output.find(" s left | ") != std::string::npos);
}

TEST_CASE("elsewhere there are plain lines, and a table if an order was asked for") {
  test::clean_floor floor;
  struct sorted {
    const char* key;
    std::vector<int> order;
  };
  const std::vector<sorted> orders = {
      {"number", {1, 2, 3}}, {"name", {3, 1, 2}}, {"wall", {3, 1, 2}}, {"status", {2, 1, 3}}};
  for (const sorted& one : orders) {
    CAPTURE(one.key);
    run_program run({"-j3", "--sort", one.key, list_of(three)});
    CHECK(run.end() == 1);
    CHECK(run.errors.find('\033') == std::string::npos);
    CHECK(table_in(run.errors) == one.order);
  }
  run_program plain({list_of(three)});
  CHECK(plain.end() == 1);
  CHECK(plain.errors.find("max RSS  status") == std::string::npos);
  run_program first({"--sort", "wall", "--rows", "1", list_of(three)});
  CHECK(first.end() == 1);
  CHECK(first.errors.find("and 2 more") != std::string::npos);
}
