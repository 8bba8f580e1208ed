// uvreap run, from outside: what is shown of jobs while they run, and the table at the end.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"
#include "support/variable.hpp"

namespace {

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
  REQUIRE(run.read_until("running 2, done 0, failed 1, "));
  REQUIRE(run.read_until("slowest sleep 600 ("));
  CHECK(run.count("/s") > 0);
  run.press('\003');
  CHECK(run.end() == test::signal_base + SIGINT);
  CHECK(run.count("uvreap run: SIGINT, ending 2 jobs") == 1);
  CHECK(run.count("#1 false exited with 1") == 1);
  CHECK(run.count("the long one killed by signal 15 (SIGTERM)") == 1);
  CHECK(run.processes() == 0);
  auto last_line_erased = run.output.rfind("\r\033[K");
  CHECK(run.output.find("running", last_line_erased) == std::string::npos);
}

TEST_CASE("on a terminal the time that is left is guessed, and a table shows the slowest first") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  run_program run({"-j1", list_of(three)}, where::whole_terminal);
  CHECK(run.read_until(", left "));
  CHECK(run.end() == 1);
  CHECK(table_in(run.output) == std::vector<int>{3, 1, 2});
  CHECK(run.count("3 jobs, 1 failed, ") == 1);
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
