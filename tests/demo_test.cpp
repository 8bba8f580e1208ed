// The demo, from outside: what it prints, what it says to bad arguments, and that nothing of it is left
// behind.
#include <doctest/doctest.h>
#include <regex.h>
#include <signal.h>
#include <unistd.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/demo_program.hpp"

namespace {

using nlohmann::json;
using test::where;
using demo = test::demo_program;

// Whether a part of the text matches; ^ and $ are the ends of a line. (std::regex does not compile without
// warnings under gcc 12's address sanitizer.)
bool has(const std::string& text, const std::string& pattern) {
  regex_t compiled;
  REQUIRE(::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NEWLINE | REG_NOSUB) == 0);
  bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found;
}

}  // namespace

TEST_CASE("the demo shows the copied memory first, the child's side before the parent's") {
  test::clean_floor floor;
  demo demo({"--seconds", "0"});
  CHECK(demo.end() == 0);
  CHECK(demo.output.rfind("In child: childPid = 0, a = 2\nIn parent: childPid = ", 0) == 0);
  CHECK_MESSAGE(has(demo.output, "^In parent: childPid = [1-9][0-9]*, a = 0$"), demo.output);
  CHECK(demo.errors.empty());
}

TEST_CASE("the demo says a line for each child, and at the end the sum, the longest gap and the stats") {
  test::clean_floor floor;
  demo demo({"--seconds", "0.3"});
  CHECK(demo.end() == 0);
  CHECK(demo.count("\nchild process done: ") == 3);
  CHECK_MESSAGE(has(demo.output,
                    "^child process done: pid [0-9]+ exited with 0, wall [0-9.]+ ms, CPU [0-9.]+ ms, "
                    "max RSS [0-9.]+ MiB, noticed by (backend|sigchld|poller)$"),
                demo.output);
  CHECK_MESSAGE(has(demo.output, "^sum = [0-9]+ turns in [0-9.]+ s, .* [0-9.]+ ms$"), demo.output);
  CHECK(demo.count("reaper: 4 reaped, 0 lost") == 1);
  CHECK(demo.count("\033") == 0);  // this is no terminal
  CHECK(demo.count("\r") == 0);
}

TEST_CASE("as JSON each line is an object, and each fork has its end, not before its child had slept") {
  test::clean_floor floor;
  demo demo({"--json", "--children", "4", "--seconds", "0.4"});
  CHECK(demo.end() == 0);
  auto copies = demo.events("copy");
  REQUIRE(copies.size() == 2);
  CHECK(copies[0] == json{{"event", "copy"}, {"in", "child"}, {"child_pid", 0}, {"a", 2}});
  CHECK(copies[1]["in"] == "parent");
  CHECK(copies[1]["child_pid"] > 0);
  CHECK(copies[1]["a"] == 0);

  std::map<int, json> ends;
  for (const json& end : demo.events("end")) ends[end["pid"]] = end;
  auto forks = demo.events("fork");
  REQUIRE(forks.size() == 4);
  CHECK(ends.size() == 4);
  int steps = 0;
  for (const json& fork : forks) {
    CHECK(fork["sleep_us"] == ++steps * 100'000);
    const json& end = ends[fork["pid"]];
    CHECK(end["wall_us"] >= fork["sleep_us"]);
    CHECK(end["exit_code"] == 0);
    CHECK(end["signal"].is_null());
    CHECK(end["lost"] == false);
    CHECK(end["max_rss_bytes"] > 0);
  }
}

TEST_CASE("the loop goes on working while the children sleep") {
  test::clean_floor floor;
  demo demo({"--json", "--seconds", "0.5"});
  CHECK(demo.end() == 0);
  auto summaries = demo.events("summary");
  REQUIRE(summaries.size() == 1);
  const json& all = summaries[0];
  CHECK(all["sum"] >= 25);  // of 500 on an idle machine; a loop that waited for each child would have 6
  CHECK(all["elapsed_us"] >= 500'000);
  CHECK(all["longest_gap_us"] > 0);
  CHECK(all["longest_gap_us"] < all["elapsed_us"]);
  CHECK(all["reaper"]["reaped"] == 4);
  CHECK(all["reaper"]["watched"] == 0);
}

TEST_CASE("a thousand children are a thousand ends") {
  test::clean_floor floor;
  demo demo({"--json", "--children", "1000", "--seconds", "0.1"});
  CHECK(demo.end() == 0);
  CHECK(demo.events("end").size() == 1000);
  REQUIRE(demo.events("summary").size() == 1);
  CHECK(demo.events("summary")[0]["reaper"]["reaped"] == 1001);
}

TEST_CASE("SIGINT and SIGTERM end the children, and leave none behind") {
  for (int signum : {SIGINT, SIGTERM}) {
    test::clean_floor floor;
    demo demo({"--json", "--children", "5", "--seconds", "600"});
    REQUIRE(demo.read_until("\"fork\"", 5));
    CHECK(demo.processes() == 6);
    demo.send(signum);
    CHECK(demo.end() == 128 + signum);
    CHECK(demo.processes() == 0);
    auto ends = demo.events("end");
    CHECK(ends.size() == 5);
    for (const json& end : ends) CHECK(end["signal"] == SIGTERM);
    auto interrupts = demo.events("interrupt");
    REQUIRE(interrupts.size() == 1);
    CHECK(interrupts[0]["signal"] == signum);
    CHECK(demo.events("summary").size() == 1);
    CHECK(demo.errors.empty());
  }
}

TEST_CASE("SIGINT between two forks ends those that are there, and begins no more") {
  test::clean_floor floor;
  demo demo({"--json", "--children", "10000", "--seconds", "600"});
  REQUIRE(demo.read_until("\"fork\"", 10));
  demo.send(SIGINT);
  CHECK(demo.end() == 130);
  CHECK(demo.processes() == 0);
  CHECK(demo.events("fork").size() == demo.events("end").size());
  CHECK(demo.events("fork").size() < 10000);
}

TEST_CASE("a second SIGINT kills children that SIGTERM did not end") {
  test::clean_floor floor;
  // With SIGTERM blocked over exec, the children have it blocked too: the mask is the caller's.
  demo demo({"--json", "--seconds", "600"}, where::pipe, true);
  REQUIRE(demo.read_until("\"fork\"", 3));
  demo.send(SIGINT);
  REQUIRE(demo.read_until("\"interrupt\"", 1));
  CHECK(demo.processes() == 4);
  CHECK(demo.count("\"end\"") == 0);
  demo.send(SIGINT);
  CHECK(demo.end() == 130);
  CHECK(demo.processes() == 0);
  auto ends = demo.events("end");
  CHECK(ends.size() == 3);
  for (const json& end : ends) CHECK(end["signal"] == SIGKILL);
}

TEST_CASE("on a terminal a status line comes and goes, and Ctrl-C leaves nothing behind") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  demo demo({"--seconds", "600"}, where::terminal);
  REQUIRE(demo.read_until("3 children left", 3));
  CHECK(demo.processes() == 4);
  demo.press('\003');
  CHECK(demo.end() == 130);
  CHECK(demo.processes() == 0);
  CHECK(demo.count("killed by signal 15 (SIGTERM)") == 3);  // by the demo, not by the terminal
  // Every status but the first is preceded, and every line after one, by taking the last one off the screen.
  CHECK(demo.count("\r\033[K") == demo.count("children left"));
  CHECK(demo.count("SIGINT: ending ") == 1);
}

TEST_CASE("bad arguments are told on stderr, with 2, and nothing is begun") {
  test::clean_floor floor;
  const std::vector<std::vector<std::string>> bad = {
      {"--children", "0"},   {"--children", "-1"},  {"--children", "10001"},
      {"--children", "2.5"}, {"--children", "all"}, {"--children", "99999999999999999999"},
      {"--children"},        {"--seconds", "-1"},   {"--seconds", "nan"},
      {"--seconds", "inf"},  {"--seconds", "3601"}, {"--seconds", "1s"},
      {"--seconds", ""},     {"--sleep", "1"},      {"more"},
  };
  for (const auto& arguments : bad) {
    CAPTURE(arguments.front());
    CAPTURE(arguments.back());
    demo demo(arguments);
    CHECK(demo.end() == 2);
    CHECK(demo.output.empty());
    CHECK(demo.errors.find(arguments.front()) != std::string::npos);
  }
}

TEST_CASE("help is no error") {
  demo demo({"--help"});
  CHECK(demo.end() == 0);
  CHECK(demo.output.find("--children") != std::string::npos);
  CHECK(demo.errors.empty());
}

TEST_CASE("a reader that goes away ends the demo and its children") {
  test::clean_floor floor;
  demo demo({"--json", "--children", "10000", "--seconds", "600"});  // it goes on writing for ten seconds
  REQUIRE(demo.read_until("\"fork\""));
  demo.close_output();
  CHECK(demo.end() == 1);
  CHECK(demo.processes() == 0);
  CHECK(demo.errors == "uvreap-demo: cannot write to stdout: broken pipe\n");
}

TEST_CASE("a stdout that cannot be written to is an error, and leaves nothing behind") {
  for (where out : {where::closed, where::full_disk}) {
    test::clean_floor floor;
    demo demo({"--seconds", "600"}, out);
    CHECK(demo.end() == 1);
    CHECK(demo.processes() == 0);
    CHECK(demo.errors.find("cannot write to stdout") != std::string::npos);
  }
}

TEST_CASE("a reader that does not read holds neither the loop nor the end of the children") {
  test::clean_floor floor;
  demo demo({"--json", "--children", "120", "--seconds", "600"}, where::small_pipe);
  // A write that blocked would stop the forking at the ninetieth or so.
  CHECK(demo.has_processes(121));
  demo.send(SIGTERM);
  CHECK(demo.has_processes(1));
  CHECK(demo.end() == 143);
  CHECK(demo.events("fork").size() == 120);
  CHECK(demo.events("end").size() == 120);
}

TEST_CASE("when its children are gone, a demo that cannot say so dies of the next signal") {
  test::clean_floor floor;
  demo demo({"--json", "--children", "120", "--seconds", "600"}, where::small_pipe);
  CHECK(demo.has_processes(121));
  demo.send(SIGTERM);
  CHECK(demo.has_processes(1));
  bool has_ended = false;
  for (int tries = 0; tries < 1000 && !has_ended; ++tries) {
    demo.send(SIGTERM);
    ::usleep(10'000);
    has_ended = demo.is_zombie();
  }
  CHECK(has_ended);
  CHECK(demo.end() == 1000 + SIGTERM);
}
