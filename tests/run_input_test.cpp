// uvreap run, and lists, outputs and options that are no good: a clear error each, nothing left behind, and
// the rest goes on.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"
#include "support/sanitizers.hpp"

namespace {

using test::list_of;
using test::run_program;
using test::where;

constexpr int our_error = 255;

void check_refused(const std::vector<std::string>& arguments, const std::string& what) {
  run_program run(arguments);
  CHECK(run.end() == our_error);
  CHECK_MESSAGE(run.errors.find(what) != std::string::npos, what, " is not in ", run.errors);
}

constexpr long bounded_kib = test::keeps_freed_memory ? 1 << 20 : 64 << 10;
// TSan keeps a shadow of all that was touched.
constexpr long of_a_few_kib = test::under_tsan ? 16 << 10 : 4 << 10;
constexpr std::size_t hundred_mib = 100 << 20;

}  // namespace

TEST_CASE("a broken line is named by line and column, and the others run") {
  test::clean_floor floor;
  struct broken {
    const char* line;
    const char* said;
  };
  for (const broken& one :
       {broken{R"({"argv": ["echo" "b"]})", ":2:20: syntax error"},
        {R"({"argv": ["echo"], "tiemout": 3})", ":2:1: unknown key \"tiemout\""},
        {R"({"argv": "echo"})", ":2:1: argv must be an array of strings, and not empty"},
        {R"({"argv": []})", ":2:1: argv must be an array of strings, and not empty"},
        {R"({"argv": [1]})", ":2:1: each word of argv must be a string"},
        {R"({"name": "a"})", ":2:1: a job must have an \"argv\""},
        {R"({"argv": ["a\u0000b"]})", ":2:1: each word of argv must not hold a NUL"},
        {R"({"argv": ["a"], "timeout": -1})", ":2:1: timeout must be a number of seconds"},
        {R"({"argv": ["a"], "timeout": 1e999})", ":2:1: number overflow parsing '1e999'"},
        {R"({"argv": ["a"], "timeout": "5 minutes"})", ":2:1: timeout must be a number of seconds"},
        {R"({"argv": ["a"], "argv": ["b"]})", ":2:1: the key \"argv\" is there twice"},
        {R"({"argv": ["a"], "env": {"A": "b", "A": "c"}})", ":2:1: the key \"A\" is there twice"},
        {R"({"argv": ["a"], "stdin": 1})", ":2:1: stdin must be a string"},
        {R"({"argv": ["a"], "rlimits": {"files": 1}})", ":2:1: rlimits: \"files\" is no limit of prlimit(1)"},
        {R"({"argv": ["a"], "rlimits": {"nofile": -1}})",
         ":2:1: each value of rlimits must be a whole number"},
        {R"({"argv": ["a"], "retries": 1.5})", ":2:1: retries must be a whole number"},
        {R"({"argv": ["a"], "env": {"A=B": "c"}})", ":2:1: env: \"A=B\" is no name"},
        {R"({"argv": ["a"], "env": {"A": 1}})", ":2:1: each value of env must be a string"},
        {"echo 'never closed", ":2:6: this ' is not closed"},
        {"echo never ended\\", ":2:17: a \\ with nothing after it"},
        {"'' a", ":2:1: an empty word names no program"},
        {"{", ":2:2: syntax error"}}) {
    run_program run({list_of(std::string("echo before\n") + one.line + "\necho after\n")});
    CHECK(run.end() == our_error);
    CHECK_MESSAGE(run.errors.find(one.said) != std::string::npos, one.said, " is not in ", run.errors);
    CHECK(run.count("before\n") == 1);
    CHECK(run.count("after\n") == 1);
  }
}

TEST_CASE("a broken array is named by line and column, and the jobs before it run") {
  test::clean_floor floor;
  struct broken {
    const char* rest;
    const char* said;
  };
  for (const broken& one : {broken{"\n {\"argv\": [\"b\"] \"x\": 1}]", ":2:19: syntax error"},
                            {"", ":1:24: the array has no end"},
                            {"\n  7]", ":2:3: a job must be an object"},
                            {"{}]", ":1:24: a job must have an \"argv\""},
                            {"{\"argv\":[\"b\"", ":1:36: syntax error"}}) {
    run_program run({list_of(R"([{"argv":["echo","a"]},)" + std::string(one.rest))});
    CHECK(run.end() == our_error);
    CHECK_MESSAGE(run.errors.find(one.said) != std::string::npos, one.said, " is not in ", run.errors);
    CHECK(run.output == "a\n");
  }
  check_refused({list_of(R"([{"argv":["true"]} {"argv":["true"]}])")},
                ":1:20: a ',' or ']' must follow a job");
  check_refused({list_of(R"([{"argv":["true"]}, ])")}, ":1:21: a job must follow the ','");
  check_refused({list_of(R"([] x)")}, ":1:4: something follows the array");
}

TEST_CASE("an empty list is nothing to do") {
  test::clean_floor floor;
  for (const char* text : {"", "\n\n# nothing\n", "[]", " [ ] \n"})
    CHECK(run_program({list_of(text)}).end() == 0);
}

TEST_CASE("a command that is not there is a failed job, and the rest goes on") {
  test::clean_floor floor;
  run_program run(
      {"-j1",
       list_of(
           "nothing-of-that-name a\n/etc/passwd\n{\"argv\":[\"true\"],\"cwd\":\"/nowhere\"}\necho on\n")});
  CHECK(run.end() == 3);
  CHECK(run.output == "on\n");
  CHECK(run.errors.find("#1 nothing-of-that-name a cannot be run: no such file or directory\n") !=
        std::string::npos);
  CHECK(run.errors.find("#2 /etc/passwd cannot be run: permission denied\n") != std::string::npos);
  CHECK(run.errors.find("#3 true cannot be run: its directory /nowhere: no such file or directory\n") !=
        std::string::npos);
}

TEST_CASE("with -q what cannot be run is said nevertheless") {
  test::clean_floor floor;
  run_program run({"-q", list_of("nothing-of-that-name a\nfalse\n")});
  CHECK(run.end() == 2);
  CHECK(run.errors == "#1 nothing-of-that-name a cannot be run: no such file or directory\n");
}

TEST_CASE("options that are no good are refused") {
  test::clean_floor floor;
  auto list = list_of("true\n");
  check_refused({}, "no list, and no -- with a command");
  check_refused({"--"}, "no command after it");
  check_refused({list, "--", "true"}, "a list, or -- and a command, but not both");
  for (const char* places :
       {"many", "", "-1", "1.5", "++2", "+", "%", "0%", "+50%", "4x", "100001", "99999999999"})
    check_refused({"-j", places, list}, "--jobs");
  check_refused({"--timeout", "-1", list}, "--timeout");
  check_refused({"--timeout", "nan", list}, "nan");
  for (const char* time : {"x", "inf", "1e400", "1 s", "5min", "-5m", "", "1e9d", "s"})
    check_refused({"--grace", time, list}, "--grace");
  check_refused({"--retries", "-1", list}, "--retries");
  check_refused({"--halt", "later", list}, "never, soon or now");
  check_refused({"--halt", "soon,fail=0", list}, "fail=N");
  check_refused({"--halt", "never,fail=2", list}, "never, soon or now");
  check_refused({"--sort", "colour", list}, "--sort");
  check_refused({"--backend", "finger", list}, "--backend");
  check_refused({"--nonsense", list}, "--nonsense");
  check_refused({list, "another"}, "cannot read another: no such file or directory");
  check_refused({"-", "-"}, "standard input can be read only once");
  check_refused({"--", ":::", "a"}, "no command after it");
  check_refused({"-a", list, list}, "its arguments are for a command");
  check_refused({"-a", "", "--", "echo"}, "a file without a name");
  check_refused({"-a", "/nothing", "--", "echo"}, "cannot read /nothing: no such file or directory");
  check_refused({"-a", "-", "--", "echo", "::::", "-"}, "standard input can be read only once");
  check_refused({"-0", list}, "-0");
  check_refused({"echo", ":::", "a"}, "comes behind a command");
  check_refused({"--", "echo", ":::", "a", ":::+", "b"}, "there are only combinations");
  check_refused({"--", "echo", "::::"}, "no file after it");
  check_refused({"/nothing/of/that/name"}, "cannot read /nothing/of/that/name: no such file or directory");
  check_refused({"/tmp"}, "cannot read /tmp: illegal operation on a directory");
  check_refused({"--output", "none", "--", "true"}, "a single command has our own output");
  check_refused({"--\033[31mred", list}, "not expected: --\\x1b[31mred\n");  // and it colours nothing
  check_refused({"--output", "/dev/null/x", list}, "cannot make /dev/null/x: not a directory");
}

TEST_CASE("standard output that is closed, full or gone is an error of ours, and ends the jobs") {
  test::clean_floor floor;
  auto list = list_of("echo a\nsleep 100\n");
  for (const char* json : {"--json", "--tag"}) {
    run_program full({"-j2", json, list}, where::full_disk);
    CHECK(full.end() == our_error);
    CHECK(full.errors.find("cannot write: no space left on device") != std::string::npos);
    run_program closed({"-j2", json, list}, where::closed);
    CHECK(closed.end() == our_error);
    CHECK(closed.errors.find("cannot write: bad file descriptor") != std::string::npos);
    run_program gone({"-j2", json, list}, where::pipe);
    gone.close_output();
    CHECK(gone.end() == our_error);
    CHECK(gone.errors.find("cannot write: broken pipe") != std::string::npos);
  }
}

TEST_CASE("a reader that goes away while much waits for it leaves nothing that waits on") {
  test::clean_floor floor;
  auto list = list_of("sh -c 'yes | head -c 30000000'\nsh -c 'yes | head -c 30000000'\n");
  for (const char* mode : {"group", "lines"}) {
    run_program run({"-q", "-j2", "--output", mode, list});
    REQUIRE(run.read_until("y\n", 1000));
    ::usleep(200'000);  // for the pipe, and what is kept behind it, to be full
    run.close_output();
    CHECK(run.end() == our_error);
    CHECK(run.errors.find("cannot write: broken pipe") != std::string::npos);
  }
}

TEST_CASE("a slow reader makes us wait, not grow: 100 MiB of a job's output in a bounded memory") {
  test::clean_floor floor;
  for (const char* mode : {"group", "lines"}) {
    auto list = list_of("sh -c 'echo begin; yes 0123456789abcdef | head -c 104857600'\n");
    run_program run({"-q", "--output", mode, list});
    CHECK(run.end() == 0);
    CHECK(run.output.size() >= hundred_mib + 6);
    CHECK(run.most_resident_kib() < bounded_kib);
  }
}

TEST_CASE("100 MiB on standard input go through to one command, and as a list take no memory" *
          doctest::skip(test::under_tsan)) {
  test::clean_floor floor;
  const char* program = std::getenv("UVREAP_DEMO");
  REQUIRE(program != nullptr);
  std::string uvreap = program;
  run_program through(
      {"-q", "--", "sh", "-c", "head -c 104857600 /dev/zero | " + uvreap + " run -q -- wc -c"});
  CHECK(through.end() == 0);
  CHECK(through.output == "104857600\n");

  std::string comments = "yes '# a line that says nothing' | head -c 104857600";
  run_program list(
      {"-q", "--", "sh", "-c", "(" + comments + "; echo; echo echo on) | exec " + uvreap + " run -q -"});
  CHECK(list.end() == 0);
  CHECK(list.output == "on\n");
  CHECK(list.most_resident_kib() < bounded_kib);

  std::string endless = "head -c 104857600 /dev/zero | tr '\\0' x";
  run_program line({"-q", "--", "sh", "-c", endless + " | exec " + uvreap + " run -q -"});
  CHECK(line.end() == our_error);
  CHECK(line.errors.find("standard input:1:1: a line of more than 16 MiB") != std::string::npos);
}

TEST_CASE("thousands of jobs, hundreds at once, in the memory of a few and the usual descriptors") {
  test::clean_floor floor;
  std::string list;
  for (int i = 0; i < 3'000; ++i) list += "true\n";
  run_program few({"-q", "-j500", list_of("true\n")});
  CHECK(few.end() == 0);
  run_program many({"-q", "-j500", list_of(list)});
  CHECK(many.end() == 0);
  CHECK(many.most_resident_kib() < few.most_resident_kib() + of_a_few_kib);

  // Fewer descriptors than the jobs would have: fewer run at once.
  std::string uvreap = std::getenv("UVREAP_DEMO");
  for (const char* mode : {"group", "lines"}) {
    run_program tight(
        {"-q", "--", "sh", "-c",
         "ulimit -n 40; exec " + uvreap + " run -q -j500 --output " + mode + " " + list_of(list)});
    CHECK(tight.end() == 0);
    CHECK(tight.errors.empty());
  }
}

TEST_CASE("output that cannot be written into its file is the job's failure, and the rest goes on") {
  test::clean_floor floor;
  std::filesystem::path outputs = test::directory() / "full";
  std::filesystem::create_directories(outputs);
  std::filesystem::create_symlink("/dev/full", outputs / "1.out");
  std::filesystem::create_directory(outputs / "2.out");
  run_program run({"--output", outputs.string(), list_of("echo a\necho b\necho c\n")});
  CHECK(run.end() == 2);
  CHECK(run.errors.find("#1 echo a exited with 0, its output is not all there: no space left on device") !=
        std::string::npos);
  CHECK(run.errors.find("#2 echo b cannot be run: illegal operation on a directory") != std::string::npos);
  CHECK(std::filesystem::file_size(outputs / "3.out") == 2);
}
