// uvreap run, from outside: that nothing which a job writes is lost, torn or out of its place, whatever our
// own outputs are.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"

namespace {

using test::by_shell;
using test::list_of;
using test::run_program;
using test::where;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream from(text);
  for (std::string line; std::getline(from, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("a job that opens its own outputs anew cuts nothing off, in every mode") {
  test::clean_floor floor;
  auto list = list_of(
      "sh -c 'echo first >&2; echo second > /dev/stderr; echo third | tee /dev/stderr > /dev/null; echo a; "
      "echo b > /dev/stdout; echo c'\n");
  for (const char* mode : {"group", "lines"}) {
    run_program run({"-q", "--output", mode, list});
    CHECK(run.end() == 0);
    CHECK(run.output == "a\nb\nc\n");
    CHECK(run.errors == "first\nsecond\nthird\n");
  }
  run_program filed({"-q", "--output", test::directory() / "reopened", list});
  CHECK(filed.end() == 0);
  CHECK(test::directory().contents("reopened/1.out") == "a\nb\nc\n");
  CHECK(test::directory().contents("reopened/1.err") == "first\nsecond\nthird\n");
}

TEST_CASE("stdout and stderr that are one pipe or one file: no line is torn, and each job's are together") {
  test::clean_floor floor;
  std::string job =
      "sh -c 'yes $0-out | head -n 20000 & yes $0-err | head -n 20000 >&2; wait; printf $0-end' ";
  auto list = list_of(job + "a\n" + job + "b\n" + job + "c\n");
  for (const char* mode : {"group", "lines"}) {
    std::string run_it = std::string("$U -q -j3 --output ") + mode + ' ' + list;
    for (const std::string& script :
         {run_it + " 2>&1", "$U -q -j3 " + list + " > " + (test::directory() / "one") + " 2>&1; cat " +
                                (test::directory() / "one")}) {
      run_program run(test::by_shell(script));
      CHECK(run.end() == 0);
      auto lines = lines_of(run.output);
      CHECK(lines.size() == 3 * 40'001);
      CHECK(run.output.ends_with('\n'));
      std::set<std::string> kinds(lines.begin(), lines.end());
      CHECK(kinds == std::set<std::string>{"a-end", "a-err", "a-out", "b-end", "b-err", "b-out", "c-end",
                                           "c-err", "c-out"});
      if (mode != std::string("group")) continue;
      std::string jobs;  // in the order in which they are said
      for (const std::string& line : lines) {
        if (!jobs.ends_with(line[0])) jobs += line[0];
      }
      CHECK(jobs.size() == 3);
    }
  }
}

TEST_CASE("a TMPDIR that is full holds the jobs up, and loses nothing") {
  test::clean_floor floor;
  std::string temporary = test::directory() / "tmp";
  std::string job = "sh -c 'seq -f $0%.0f 30000; seq -f $0%.0f 30000 >&2' ";
  auto list = list_of(job + "a\n" + job + "b\n" + job + "c\n");
  for (const char* order : {"", "--keep-order"}) {
    run_program run(test::by_shell(
        "mkdir -p " + temporary + "; exec unshare -m sh -c 'mount -t tmpfs -o size=64k none " + temporary +
        " || exit 77; TMPDIR=" + temporary + " '\"$U\"' -j3 " + order + " " + list + "' 2>&1"));
    int status = run.end();
    if (run.output.find("unshare") != std::string::npos || status == 77) {
      MESSAGE("SKIP: no mounts of our own here: ", run.output);
      return;
    }
    CHECK(status == 0);
    CHECK(run.output.find("cannot be kept (no space left on device), so it waits for its turn") !=
          std::string::npos);
    for (char name : {'a', 'b', 'c'}) {
      int count = 0;
      for (const std::string& line : lines_of(run.output)) count += line[0] == name ? 1 : 0;
      CHECK(count == 60'000);
    }
  }
}

TEST_CASE("UTF-8 comes through --json as it was, however long the line and wherever it is cut") {
  test::clean_floor floor;
  // Of one, two, three and four bytes, so that any cut but those between them would show.
  std::string character = "x\u00e9\u20ac\U0001f600";
  auto list = list_of("sh -c 'yes " + character + " | head -n 40000 | tr -d \"\\n\"'\n");
  for (const char* mode : {"group", "lines"}) {
    run_program run({"--json", "--output", mode, list});
    CHECK(run.end() == 0);
    std::string text;
    for (const auto& event : run.events("output")) text += event["text"].get<std::string>();
    std::erase(text, '\n');
    CHECK(text.size() == 40'000 * character.size());
    CHECK(text.find("\ufffd") == std::string::npos);
  }
}

TEST_CASE("a full stdout that does not block is waited for") {
  test::clean_floor floor;
  run_program run({"-q", list_of("seq 1 100000\n")}, where::non_blocking);
  ::usleep(200'000);  // for the pipe to be full, which the test does not need to be right
  CHECK(run.end() == 0);
  CHECK(run.output.size() == 588'895);
}

TEST_CASE("where nothing can be said about jobs they run nevertheless, with their output") {
  test::clean_floor floor;
  auto list = list_of("echo one\nfalse\necho two\n");
  for (const char* where_to : {"2>&-", "2>/dev/full"}) {
    run_program run(test::by_shell("$U -j1 " + list + ' ' + where_to));
    CHECK(run.end() == 1);
    CHECK(run.output == "one\ntwo\n");
  }
  // A reader that goes away, while every job has something to be said about.
  std::string many;
  for (int i = 0; i < 200; ++i) many += "echo ran\n";
  run_program gone(
      test::by_shell("exec 3>&1; { $U -j1 " + list_of(many) + " 2>&1 >&3; echo $? >&3; } | head -n 1 >&2"));
  CHECK(gone.end() == 0);
  CHECK(gone.count("ran\n") == 200);
  CHECK(gone.output.ends_with("0\n"));
}

TEST_CASE("where only what we say would be lost, the jobs run, and so does a single command") {
  test::clean_floor floor;
  for (const char* where : {">&- 2>&-", ">/dev/full 2>&1", "<&- >&- 2>&-"}) {
    CAPTURE(where);
    auto list = list_of("true\nsh -c 'sleep 0.1; echo x > " + (test::directory() / "made") + "'\n");
    run_program run(by_shell("rm -f " + (test::directory() / "made") + "; $U -j1 " + list + ' ' + where +
                             "; echo status $?; cat " + (test::directory() / "made")));
    CHECK(run.end() == 0);
    CHECK(run.output == "status 0\nx\n");
    run_program one(by_shell(std::string("$U -- true ") + where + "; echo status $?"));
    CHECK(one.end() == 0);
    CHECK(one.output == "status 0\n");
  }
}

TEST_CASE("what jobs say on a stderr that cannot be written is lost, and that is no success") {
  test::clean_floor floor;
  auto list = list_of("sh -c 'echo lost >&2'\necho on\n");
  run_program run(test::by_shell("$U -j1 " + list + " 2>/dev/full"));
  CHECK(run.end() == 255);
  CHECK(run.output == "on\n");
}

TEST_CASE("standard descriptors that are closed here are closed for a command, and its exit status is ours") {
  test::clean_floor floor;
  CHECK(run_program(test::by_shell("$U -q -- sh -c 'exit 3' <&-")).end() == 3);
  for (const char* closed : {"0", "1", "2"}) {
    std::string number = closed;
    CHECK(
        run_program(test::by_shell("$U -q -- sh -c '[ ! -e /proc/$$/fd/" + number + " ]' " + number + ">&-"))
            .end() == 0);
  }
  run_program list(test::by_shell("$U -q " + list_of("sh -c 'readlink /proc/$$/fd/0'\n") + " <&-"));
  CHECK(list.end() == 0);
  CHECK(list.output == "/dev/null\n");
}

TEST_CASE("with --keep-order jobs come in the order of the list, tried again or not") {
  test::clean_floor floor;
  // The first cannot end before the third has.
  std::string fifo = test::directory() / "order";
  std::string tries = test::directory() / "tries";
  auto list =
      list_of("sh -c 'echo begun; read x < " + fifo + "; echo first'\nsh -c 'echo second; echo >> " + tries +
              "; [ $(wc -l < " + tries + ") = 2 ]'\nsh -c 'echo third; echo > " + fifo + "'\n");
  for (const char* mode : {"group", "lines"}) {
    run_program run(test::by_shell("rm -f " + fifo + ' ' + tries + "; mkfifo " + fifo +
                                   "; $U -q -j3 --keep-order --retries 1 --output " + mode + ' ' + list));
    CHECK(run.end() == 0);
    CHECK(run.output == "begun\nfirst\nsecond\nsecond\nthird\n");
  }
  // Those that wait to be said hold no place: two places are enough for all behind the first.
  std::string many = "sh -c 'read x < " + fifo + "; echo first'\n";
  for (int i = 0; i < 20; ++i) many += "echo " + std::to_string(i) + '\n';
  many += "sh -c 'echo > " + fifo + "'\n";
  run_program run({"-q", "-j2", "-k", list_of(many)});
  CHECK(run.end() == 0);
  auto lines = lines_of(run.output);
  REQUIRE(lines.size() == 21);
  CHECK(lines[0] == "first");
  CHECK(lines[20] == "19");
}

TEST_CASE("with --tag each line begins with the job's name") {
  test::clean_floor floor;
  auto list = list_of("{\"name\":\"one\",\"argv\":[\"sh\",\"-c\",\"printf 'a\\\\n\\\\nb'; echo c >&2\"]}\n");
  for (const char* mode : {"group", "lines"}) {
    run_program run({"-q", "--tag", "--output", mode, list});
    CHECK(run.end() == 0);
    CHECK(run.output == "one\ta\none\t\none\tb\n");
    CHECK(run.errors == "one\tc\n");
  }
}
