// uvreap run, from outside: what becomes of jobs, what is said of them, and that nothing is left behind.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"

namespace {

using nlohmann::json;
using test::list_of;
using test::run_program;

}  // namespace

TEST_CASE("one command has our output, its own exit status, and a report of what it cost") {
  test::clean_floor floor;
  run_program run({"--", "sh", "-c", "echo said; exit 3"});
  CHECK(run.end() == 3);
  CHECK(run.output == "said\n");
  for (const char* part : {"sh exited with 3\n", "\n  wall ", "\n  user ", "\n  system ", "\n  CPU ",
                           "\n  max RSS ", "\n  page faults ", "\n  switches ", "\n  blocks "})
    CHECK_MESSAGE(run.errors.find(part) != std::string::npos, part, " is not in ", run.errors);
}

TEST_CASE("one command that is killed, is not there, is no program or takes too long: as a shell says it") {
  test::clean_floor floor;
  CHECK(run_program({"--", "sh", "-c", "kill -9 $$"}).end() == 128 + SIGKILL);
  CHECK(run_program({"--timeout", "0.05", "--", "sleep", "100"}).end() == 124);
  run_program missing({"--", "/nothing/of/that/name"});
  CHECK(missing.end() == 127);
  CHECK(missing.errors == "uvreap run: /nothing/of/that/name cannot be run: no such file or directory\n");
  CHECK(run_program({"--", "/etc/passwd"}).end() == 126);
}

TEST_CASE("the exit status is the number of failed jobs, 101 for more than a hundred") {
  test::clean_floor floor;
  CHECK(run_program({list_of("true\ntrue\n")}).end() == 0);
  CHECK(run_program({list_of("true\nfalse\nnothing-of-that-name\nsh -c 'exit 7'\n")}).end() == 3);
  std::string many;
  for (int i = 0; i < 120; ++i) many += "false\n";
  CHECK(run_program({list_of(many)}).end() == 101);
}

TEST_CASE("words of a line: quotes, backslashes and comments, and nothing that a shell would expand") {
  test::clean_floor floor;
  run_program run({"-j1", list_of("# a comment\n"
                                  "\n"
                                  "  printf '%s|' a\\ b \"c \\\" d\" 'e \\ f' '' $HOME * # the rest\n")});
  CHECK(run.end() == 0);
  CHECK(run.output == "a b|c \" d|e \\ f||$HOME|*|\n");
}

TEST_CASE("a job as JSON has a name, a directory, variables, a timeout and retries of its own") {
  test::clean_floor floor;
  json job{{"name", "the job"},
           {"argv", {"sh", "-c", "pwd; echo $COLOUR; echo try >> tries; sleep 100"}},
           {"cwd", test::directory().path()},
           {"env", {{"COLOUR", "blue"}}},
           {"timeout", 0.5},
           {"retries", 1}};
  for (const std::string& text : {job.dump() + '\n', "[ " + job.dump(2) + " ]"}) {
    std::filesystem::remove(test::directory() / "tries");
    run_program run({"--json", list_of(text)});
    CHECK(run.end() == 1);
    auto ends = run.events("end");
    REQUIRE(ends.size() == 2);
    CHECK(ends[0]["tried_again"] == true);
    CHECK(ends[1]["tried_again"] == false);
    CHECK(ends[1]["timed_out"] == true);
    CHECK(ends[1]["signal"] == "SIGTERM");
    CHECK(ends[1]["name"] == "the job");
    CHECK(run.events("output")[0]["text"] == test::directory().path() + "\nblue\n");
    CHECK(test::directory().contents("tries") == "try\ntry\n");
    auto summary = run.events("summary");
    REQUIRE(summary.size() == 1);
    CHECK(summary[0]["jobs"] == 1);
    CHECK(summary[0]["failed"] == 1);
    CHECK(summary[0]["retries"] == 1);
    CHECK(summary[0]["reaped"] == 2);
  }
}

TEST_CASE("a job that a signal ended is told with its name, and with its number where it has none") {
  test::clean_floor floor;
  run_program run({"--json", "-j1", list_of("sh -c 'kill -9 $$'\nsh -c 'kill -40 $$'\n")});
  CHECK(run.end() == 2);
  auto ends = run.events("end");
  REQUIRE(ends.size() == 2);
  CHECK(ends[0]["signal"] == "SIGKILL");
  CHECK(ends[1]["signal"] == "SIG40");
}

TEST_CASE("no more than -j run at once, and so many do") {
  test::clean_floor floor;
  // Each says how many there are, itself among them.
  json job{{"argv", {"sh", "-c", "mkdir p$$; ls -d p* | wc -l; sleep 0.3; rmdir p$$"}},
           {"cwd", test::directory().path()}};
  std::string list;
  for (int i = 0; i < 4; ++i) list += job.dump() + '\n';
  run_program run({"-j2", list_of(list)});
  CHECK(run.end() == 0);
  CHECK(run.count("3\n") == 0);
  CHECK(run.count("2\n") >= 1);
}

TEST_CASE("what jobs write comes job by job, or line by line, or into files, and never half a line") {
  test::clean_floor floor;
  // Each takes turns with the other: a line, and a line without an end.
  std::string writer = "sh -c 'for i in 1 2 3; do echo $0$i; sleep 0.05; done; printf $0.' ";
  auto list = list_of(writer + "a\n" + writer + "b\n");

  run_program grouped({"-j2", "-q", list});
  CHECK(grouped.end() == 0);
  CHECK((grouped.output == "a1\na2\na3\na.\nb1\nb2\nb3\nb.\n" ||
         grouped.output == "b1\nb2\nb3\nb.\na1\na2\na3\na.\n"));

  run_program by_line({"-j2", "-q", "--output", "lines", list});
  CHECK(by_line.end() == 0);
  std::vector<std::string> lines;
  std::istringstream text(by_line.output);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  CHECK(lines == std::vector<std::string>{"a.", "a1", "a2", "a3", "b.", "b1", "b2", "b3"});

  run_program dropped({"-j2", "-q", "--output", "none", list});
  CHECK(dropped.end() == 0);
  CHECK(dropped.output.empty());

  std::string outputs = "new/outputs/";
  run_program filed(
      {"-q", "--output", test::directory() / outputs, list_of("sh -c 'echo out; echo err >&2'\n")});
  CHECK(filed.end() == 0);
  CHECK(filed.output.empty());
  CHECK(test::directory().contents(outputs + "1.out") == "out\n");
  CHECK(test::directory().contents(outputs + "1.err") == "err\n");
}

TEST_CASE("stdout and stderr of jobs stay apart") {
  test::clean_floor floor;
  for (const char* mode : {"group", "lines"}) {
    run_program run({"-q", "--output", mode, list_of("sh -c 'echo out; echo err >&2'\n")});
    CHECK(run.end() == 0);
    CHECK(run.output == "out\n");
    CHECK(run.errors == "err\n");
  }
}

TEST_CASE("Ctrl-C ends the jobs, a second one at once, and nobody is left") {
  test::clean_floor floor;
  {
    run_program run({"--output", "lines", list_of("sh -c 'echo begun; sleep 100'\n")});
    REQUIRE(run.read_until("begun\n"));
    run.send(SIGINT);
    CHECK(run.end() == test::signal_base + SIGINT);
  }
  {
    auto stubborn = list_of("sh -c 'trap : TERM; echo begun; while :; do sleep 0.05; done'\n");
    run_program run({"--json", "--output", "lines", "--grace", "1000", stubborn});
    REQUIRE(run.read_until("\"text\":\"begun"));
    run.send(SIGTERM);
    REQUIRE(run.read_until("interrupted"));  // two at once would be one
    run.send(SIGTERM);
    CHECK(run.end() == test::signal_base + SIGTERM);
    CHECK(run.events("end")[0]["signal"] == "SIGKILL");
  }
}

TEST_CASE("a job that ignores SIGTERM is killed when its grace is over, with its whole group") {
  test::clean_floor floor;
  auto list = list_of("sh -c 'trap \"\" TERM; sleep 100 & sleep 100'\n");
  run_program run({"--timeout", "0.1", "--grace", "0.1", list});
  CHECK(run.end() == 1);
  CHECK(run.errors.find("killed by signal 9 (SIGKILL) after its timeout") != std::string::npos);
}

TEST_CASE("a daemon that holds a job's output does not hold us up, and it is said") {
  test::clean_floor floor;
  auto list = list_of("sh -c 'sleep 3 & echo $!'\n");
  for (const char* mode : {"group", "lines"}) {
    run_program run({"--output", mode, list});
    CHECK(run.end() == 0);
    CHECK(run.errors.find("still holds its output") != std::string::npos);
    pid_t daemon = std::atoi(run.output.c_str());
    REQUIRE(daemon > 1);
    CHECK(::kill(daemon, SIGKILL) == 0);  // it is there still
  }
}
