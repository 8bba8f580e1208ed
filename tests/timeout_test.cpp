// The example timeout, from outside: whose exit status it gives, and that the command is gone.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/demo_program.hpp"
#include "support/timing.hpp"

namespace {

using example = test::demo_program;  // UVREAP_DEMO names the example
using std::chrono::milliseconds;

int code_of(const std::vector<std::string>& arguments) {
  example timeout(arguments);
  int code = timeout.end();
  CHECK(timeout.processes() == 0);
  return code;
}

}  // namespace

TEST_CASE("a command that ends in time gives its own status") {
  test::clean_floor floor;
  CHECK(code_of({"60", "sh", "-c", "exit 0"}) == 0);
  CHECK(code_of({"60", "sh", "-c", "exit 7"}) == 7);
  CHECK(code_of({"60", "sh", "-c", "kill -KILL $$"}) == 128 + SIGKILL);
}

TEST_CASE("a command whose time is up is ended, and that is 124") {
  test::clean_floor floor;
  test::stopwatch watch;
  CHECK(code_of({"0.2", "sleep", "600"}) == 124);
  CHECK(watch.elapsed() >= milliseconds(200));
}

TEST_CASE("a command that ignores SIGTERM is killed after the grace, and that is 124 too") {
  test::clean_floor floor;
  test::stopwatch watch;
  CHECK(code_of({"0.2", "sh", "-c", "trap '' TERM; exec sleep 600"}) == 124);
  CHECK(watch.elapsed() >= milliseconds(2200));
}

TEST_CASE("what the command writes goes where it would go without") {
  example timeout({"60", "echo", "hello"});
  CHECK(timeout.end() == 0);
  CHECK(timeout.output == "hello\n");
}

TEST_CASE("a command that is not there is 127, one that cannot be run 126, and bad arguments are 125") {
  CHECK(code_of({"60", "uvreap-no-such-program"}) == 127);
  CHECK(code_of({"60", "/"}) == 126);
  CHECK(code_of({}) == 125);
  CHECK(code_of({"60"}) == 125);
  for (const char* seconds : {"0", "-1", "1s", "nan", "inf", "x", ""})
    CHECK(code_of({seconds, "true"}) == 125);
}
