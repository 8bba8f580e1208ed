// uvreap run, from outside: what holds jobs back, and what is put before their commands.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <string>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"

namespace {

using test::list_of;
using test::run_program;
using test::where;

}  // namespace

TEST_CASE("from the begin of a job to that of the next there is the delay, for those tried again, too") {
  test::clean_floor floor;
  auto before = std::chrono::steady_clock::now();
  run_program run({"-q", "-j8", "--delay", "0.2", "--retries", "1", list_of("true\ntrue\nfalse\n")});
  CHECK(run.end() == 1);
  CHECK(std::chrono::steady_clock::now() - before >= std::chrono::milliseconds(600));
}

TEST_CASE("while too many tasks run, or too little memory is free, no job begins, and it is shown") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  auto list = list_of("true\n");
  // No machine has so much.
  run_program memory({"--memfree", "1000000T", list}, where::whole_terminal);
  memory.resize(200);
  REQUIRE(memory.read_until("0 of 1, 0 failed, 0.0/s, waiting ("));
  REQUIRE(memory.read_until("GiB are free, --memfree "));
  memory.press('\003');
  CHECK(memory.end() == test::signal_base + SIGINT);

  // A job that runs is one task too many for the next.
  run_program load({"-j2", "--load", "1", list_of("sh -c 'while :; do :; done'\ntrue\n")},
                   where::whole_terminal);
  load.resize(200);
  REQUIRE(load.read_until(" tasks run, --load 1)"));
  load.press('\003');
  CHECK(load.end() == test::signal_base + SIGINT);
  CHECK(load.count("0 of 2, 0 failed") > 0);

  CHECK(run_program({"-q", "--memfree", "1M", "--load", "100000", list}).end() == 0);
}

TEST_CASE("--wrap puts words before each command, and jobs keep their names") {
  test::clean_floor floor;
  run_program run(
      {"--json", "--wrap", "env 'A=a b' sh -c 'echo $A $1; exec \"$@\"' sh", list_of("echo c d\n")});
  CHECK(run.end() == 0);
  CHECK(run.events("output")[0]["text"] == "a b echo\nc d\n");
  CHECK(run.events("end")[0]["name"] == "echo c d");
  run_program one({"-q", "--wrap", "nice -n 3", "--", "nice"});
  CHECK(one.end() == 0);
  CHECK(one.output == std::to_string(::getpriority(PRIO_PROCESS, 0) + 3) + "\n");
  run_program missing({"--wrap", "no-such-wrapper", list_of("true\n")});
  CHECK(missing.end() == 1);
  CHECK(missing.errors.find("#1 true cannot be run: no-such-wrapper: no such file or directory") !=
        std::string::npos);
}

TEST_CASE("limits that are none are refused") {
  test::clean_floor floor;
  auto list = list_of("true\n");
  for (const auto& [option, value] :
       std::initializer_list<std::pair<const char*, const char*>>{{"--delay", "x"},
                                                                  {"--load", "0"},
                                                                  {"--load", "x"},
                                                                  {"--memfree", "5X"},
                                                                  {"--memfree", "-1"},
                                                                  {"--memfree", "9999999999T"},
                                                                  {"--wrap", "'a"}}) {
    run_program run({option, value, list});
    CHECK(run.end() == 255);
    CHECK_MESSAGE(run.errors.find(option) != std::string::npos, run.errors);
  }
}
