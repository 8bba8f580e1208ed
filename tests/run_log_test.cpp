// uvreap run, from outside: the job log, what an earlier run has done, and times of day.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <sstream>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"

namespace {

using test::by_shell;
using test::list_of;
using test::run_program;

constexpr const char* header = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

std::string new_log() {
  static int logs = 0;
  return test::directory() / ("log" + std::to_string(++logs));
}

std::string contents_of(const std::string& log) {
  return test::directory().contents(log.substr(log.rfind('/') + 1));
}

// The lines of the log, each without its times.
std::vector<std::string> lines_of(const std::string& log) {
  std::vector<std::string> lines;
  std::istringstream text(contents_of(log));
  std::string line;
  std::getline(text, line);
  CHECK(line + '\n' == header);
  while (std::getline(text, line)) {
    std::istringstream columns(line);
    std::string column;
    std::string kept;
    for (int i = 0; std::getline(columns, column, i < 8 ? '\t' : '\n'); ++i) {
      if (i != 2 && i != 3) kept += (kept.empty() ? "" : " ") + column;
    }
    lines.push_back(kept);
  }
  return lines;
}

const char* const five =
    "echo a b\n"
    "sh -c 'exit 3'\n"
    "nothing-of-that-name\n"
    "sh -c 'kill -9 $$'\n"
    "{\"argv\":[\"echo\",\"two\\nlines\"]}\n";

}  // namespace

TEST_CASE("the job log has a line for each job, in the columns of GNU parallel") {
  test::clean_floor floor;
  std::string log = new_log();
  run_program run({"-q", "-j1", "--joblog", log, list_of(five)});
  CHECK(run.end() == 3);
  CHECK(lines_of(log) == std::vector<std::string>{"1 : 0 4 0 0 echo a b", "2 : 0 0 3 0 sh -c 'exit 3'",
                                                  "3 : 0 0 127 0 nothing-of-that-name",
                                                  "4 : 0 0 0 9 sh -c 'kill -9 $$'",
                                                  std::string("5 : 0 10 0 0 echo 'two\0lines'", 29)});
  // Without --resume it is written anew; and it has the last attempt alone.
  run_program again({"-q", "--retries", "2", "--timeout", "0.1", "--joblog", log, list_of("sleep 600\n")});
  CHECK(again.end() == 1);
  CHECK(lines_of(log) == std::vector<std::string>{"1 : 0 0 -1 15 sleep 600"});
}

TEST_CASE("GNU parallel reads the log, and runs again what failed") {
  test::clean_floor floor;
  std::string log = new_log();
  CHECK(run_program({"-q", "-j1", "--joblog", log, list_of("sh -c 'echo ran; exit 3'\ntrue\n")}).end() == 1);
  run_program run(
      by_shell("parallel --version 2>&1 | grep -q GNU || { echo none; exit; }; parallel --joblog " + log +
               " --retry-failed < /dev/null"));
  run.end();
  if (run.output == "none\n") {
    MESSAGE("SKIP: GNU parallel is not installed");
    return;
  }
  CHECK(run.output == "ran\n");
  CHECK(lines_of(log).size() == 3);
}

TEST_CASE("--resume runs what the log does not have, --resume-failed what failed as well") {
  test::clean_floor floor;
  std::string log = new_log();
  CHECK(run_program({"-q", "-j1", "--halt", "soon,done=3", "--joblog", log, list_of(five)}).end() == 2);
  run_program rest({"-j1", "--resume", "--joblog", log, list_of(five)});
  CHECK(rest.end() == 1);
  CHECK(rest.output == "two\nlines\n");
  CHECK(rest.errors.find("2 jobs, 1 failed, 3 done before") != std::string::npos);
  run_program failed({"--json", "-j1", "--resume-failed", "--joblog", log, list_of(five)});
  CHECK(failed.end() == 3);
  CHECK(failed.events("summary")[0]["skipped"] == 2);
  CHECK(failed.events("summary")[0]["jobs"] == 3);
  CHECK(run_program({"-q", "--resume", "--joblog", log, list_of(five)}).end() == 0);  // all are there
  CHECK(lines_of(log).size() == 8);

  run_program first({"-q", "--resume", "--joblog", new_log(), list_of("echo ran\n")});
  CHECK(first.end() == 0);  // there is no log yet
  CHECK(first.output == "ran\n");
}

TEST_CASE("what was cut off by a signal or by --halt now is not in the log, and so run again") {
  test::clean_floor floor;
  std::string log = new_log();
  auto list = list_of("true\nsh -c 'echo begun; exec sleep 600'\n");
  run_program run({"-q", "-j1", "--output", "lines", "--joblog", log, list});
  REQUIRE(run.read_until("begun"));
  run.send(SIGINT);
  CHECK(run.end() == test::signal_base + SIGINT);
  CHECK(lines_of(log) == std::vector<std::string>{"1 : 0 0 0 0 true"});
}

TEST_CASE("a number that had another command is run, and it is said") {
  test::clean_floor floor;
  std::string log = new_log();
  CHECK(run_program({"-q", "--joblog", log, list_of("echo a\necho b\n")}).end() == 0);
  run_program run({"--resume", "--joblog", log, list_of("echo a\necho c\n")});
  CHECK(run.end() == 0);
  CHECK(run.output == "c\n");
  CHECK(run.errors.find("#2 echo c: the job log has another command for this number; this one is run\n") !=
        std::string::npos);
}

TEST_CASE(
    "a job that has another directory, variable, input or limit is another, and the log has all of it") {
  test::clean_floor floor;
  std::string log = new_log();
  const std::string before =
      R"({"argv":["sh","-c","pwd; echo $A; cat; ulimit -n"],"cwd":"/usr","env":{"A":"a b"},)"
      R"("stdin":"in\n","rlimits":{"nofile":64}})";
  run_program first({"-q", "--joblog", log, list_of(before)});
  CHECK(first.end() == 0);
  CHECK(first.output == "/usr\na b\nin\n64\n");
  // What the log has does the same, by sh.
  run_program by_log(by_shell("tail -n 1 " + log + " | cut -f 9- | tr '\\0' '\\n' | sh"));
  CHECK(by_log.end() == 0);
  CHECK(by_log.output == first.output);
  run_program same({"-q", "--resume", "--joblog", log, list_of(before)});
  CHECK(same.end() == 0);
  CHECK(same.output.empty());
  struct change {
    const char* was;
    const char* is;
  };
  for (const change& one : {change{"/usr", "/tmp"}, {"a b", "a c"}, {"in\\n", "out\\n"}, {"64", "65"}}) {
    CAPTURE(one.is);
    std::string after = before;
    after.replace(after.find(one.was), std::string(one.was).size(), one.is);
    run_program changed({"--resume", "--joblog", log, list_of(after)});
    CHECK(changed.end() == 0);
    CHECK(changed.count("\n") == 4);
    CHECK(changed.errors.find("the job log has another command") != std::string::npos);
    CHECK(run_program({"-q", "--joblog", log, list_of(before)}).end() == 0);
  }
  // A NUL among its input, too.
  auto with_nul = list_of(R"({"argv":["od","-An","-c"],"stdin":"a\u0000b\\n%"})");
  run_program nul({"-q", "--joblog", log, with_nul});
  CHECK(nul.end() == 0);
  run_program nul_by_log(by_shell("tail -n 1 " + log + " | cut -f 9- | tr '\\0' '\\n' | sh"));
  CHECK(nul_by_log.end() == 0);
  CHECK(nul_by_log.output == nul.output);
}

TEST_CASE("a line that is no job has its number, so that after it is mended it alone is run") {
  test::clean_floor floor;
  std::string log = new_log();
  run_program broken({"-j1", "--joblog", log, list_of("echo a\necho 'b\necho c\n")});
  CHECK(broken.end() == 255);
  CHECK(broken.output == "a\nc\n");
  CHECK(broken.errors.find("2 jobs, 0 failed, 1 part of the list wrong") != std::string::npos);
  run_program mended({"-q", "--resume", "--joblog", log, list_of("echo a\necho 'b'\necho c\n")});
  CHECK(mended.end() == 0);
  CHECK(mended.output == "b\n");
}

TEST_CASE("a log that is our own output takes its turn there, and cuts nothing off") {
  test::clean_floor floor;
  std::string file = test::directory() / "both";
  auto list = list_of("echo a\necho b\n");
  for (const char* log : {"/dev/stdout", "/dev/stderr"}) {
    CAPTURE(log);
    run_program run(by_shell("echo before > " + file + "; $U -q -j1 --joblog " + log + " " + list + " >> " +
                             file + " 2>&1; cat " + file));
    CHECK(run.end() == 0);
    CHECK(run.output.starts_with("before\n" + std::string(header)));
    for (const char* line : {"\na\n", "\nb\n", "\techo a\n", "\techo b\n"}) CHECK(run.count(line) == 1);
  }
  run_program resumed(by_shell("$U --resume --joblog /dev/stdout " + list + " >> " + file));
  CHECK(resumed.end() == 255);
  CHECK(resumed.errors.find("/dev/stdout is our own output, and no log to be resumed") != std::string::npos);
}

TEST_CASE("what is a word of the shell's own is a program in the log, too, as it was for the job") {
  test::clean_floor floor;
  std::string log = new_log();
  CHECK(run_program({"-q", "-j1", "--joblog", log, list_of("exit 0\nif x\n/bin/true if\n")}).end() == 2);
  auto lines = lines_of(log);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].ends_with("127 0 env exit 0"));
  CHECK(lines[1].ends_with("127 0 env if x"));
  CHECK(lines[2].ends_with("0 0 /bin/true if"));
}

TEST_CASE("a job whose output is lost is not in the log, and so run again") {
  test::clean_floor floor;
  for (const char* how : {"group", "lines"}) {
    CAPTURE(how);
    std::string log = new_log();
    auto list = list_of("echo text\n");
    CHECK(run_program({"-q", "--output", how, "--joblog", log, list}, test::where::full_disk).end() == 255);
    CHECK(contents_of(log) == header);
    run_program again({"-q", "--resume", "--joblog", log, list});
    CHECK(again.end() == 0);
    CHECK(again.output == "text\n");
  }
  // The second waits for the first to be said, which runs on when we are killed.
  std::string log = new_log();
  std::string fifo = test::directory() / "first";
  auto list = list_of("sh -c 'read x < " + fifo + "; echo 1'\necho 2\n");
  run_program killed(by_shell("mkfifo " + fifo + "; $U -q -k -j2 --joblog " + log + " " + list +
                              " & sleep 0.5; kill -KILL $!; wait $!; echo x > " + fifo));
  CHECK(killed.end() == 0);
  CHECK(contents_of(log) == header);
}

TEST_CASE("a log is a file: what somebody may have to read meanwhile is refused") {
  test::clean_floor floor;
  std::string fifo = test::directory() / "fifo";
  run_program run(by_shell("mkfifo " + fifo + "; $U --joblog " + fifo +
                           " -- echo ran ::: 1; echo status $?; " +
                           "$U --joblog /dev/stdout -- echo ran ::: 1 | cat"));
  CHECK(run.end() == 0);
  CHECK(run.output == "status 255\n");
  CHECK(run.errors.find(fifo + " is no file, and a job log must be one") != std::string::npos);
  run_program null({"-q", "--joblog", "/dev/null", list_of("echo ran\n")});
  CHECK(null.end() == 0);
  auto notes = test::directory().make("notes", "my precious notes");
  CHECK(run_program({"--resume", "--joblog", notes, list_of("true\n")}).end() == 255);
  CHECK(contents_of(notes) == "my precious notes");
}

TEST_CASE("half a line at the end of a log, of a run that was killed, is cut off") {
  test::clean_floor floor;
  auto log =
      test::directory().make("half", std::string(header) + "1\t:\t1.0\t0.1\t0\t0\t0\t0\ttrue\n2\t:\t1.0\t0.");
  CHECK(run_program({"-q", "-j1", "--resume", "--joblog", log, list_of("true\ntrue\n")}).end() == 0);
  CHECK(lines_of(log) == std::vector<std::string>{"1 : 0 0 0 0 true", "2 : 0 0 0 0 true"});
}

TEST_CASE("what is no job log is refused, and stays as it is; one that cannot be written ends the run") {
  test::clean_floor floor;
  auto list = list_of("echo ran\n");
  auto other = test::directory().make("other", "my novel\n");
  run_program run({"--resume", "--joblog", other, list});
  CHECK(run.end() == 255);
  CHECK(run.errors == "uvreap run: " + other + ":1: this is no log of jobs\n");
  CHECK(run.output.empty());
  CHECK(contents_of(other) == "my novel\n");
  auto broken = test::directory().make("broken", std::string(header) + "1\t:\tx\n");
  run_program middle({"--resume", "--joblog", broken, list});
  CHECK(middle.end() == 255);
  CHECK(middle.errors.find(":2: this is no line of a log of jobs\n") != std::string::npos);

  run_program full({"--joblog", "/dev/full", list});
  CHECK(full.end() == 255);
  CHECK(full.errors == "uvreap run: cannot write /dev/full: no space left on device\n");
  run_program none({"--joblog", "/nowhere/log", list});
  CHECK(none.end() == 255);
  CHECK(none.errors == "uvreap run: cannot write /nowhere/log: no such file or directory\n");
  CHECK(run_program({"--resume", list}).end() == 255);  // of what log?
}

TEST_CASE("events have times of day") {
  test::clean_floor floor;
  run_program run({"--json", list_of("true\n")});
  CHECK(run.end() == 0);
  std::string begun = run.events("start")[0]["time"];
  std::string started = run.events("end")[0]["started"];
  std::string ended = run.events("end")[0]["time"];
  CHECK(begun.size() == std::string("2026-11-29T05:55:57.123456Z").size());
  CHECK(begun.ends_with('Z'));
  CHECK(started <= ended);
  auto today = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  char day[16];
  std::strftime(day, sizeof day, "%Y-%m-%d", std::gmtime(&today));
  CHECK((ended.starts_with(day) || started.substr(0, 10) != std::string(day)));  // or it is midnight
}
