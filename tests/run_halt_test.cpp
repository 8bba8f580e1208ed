// uvreap run, from outside: that it goes on after failures, where it stops, and that it says what never ran.
#include <doctest/doctest.h>

#include <string>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"

namespace {

using test::list_of;
using test::run_program;

std::string lines(const std::string& line, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += line + '\n';
  return all;
}

bool says(const run_program& run, const std::string& what) {
  return run.errors.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("after failures all other jobs run, and the exit status is the number of failures") {
  test::clean_floor floor;
  run_program all({"-j1", list_of("false\n" + lines("echo ran", 9))});
  CHECK(all.end() == 1);
  CHECK(all.count("ran\n") == 9);
  CHECK(says(all, "10 jobs, 1 failed, "));
  CHECK(!says(all, "not run"));
}

TEST_CASE("where it stops, the summary and the events say how many never ran") {
  test::clean_floor floor;
  auto list = list_of("true\nfalse\n" + lines("true", 3'098));  // more than is read ahead
  run_program soon({"-j1", "--halt", "soon,fail=1", list});
  CHECK(soon.end() == 1);
  CHECK(says(soon, "2 jobs, 1 failed, 3098 not run, "));

  run_program events({"-j1", "--json", "--halt", "soon", list});
  CHECK(events.end() == 1);
  CHECK(events.events("summary")[0]["not_run"] == 3'098);
  CHECK(events.events("summary")[0]["not_run_is_all"] == true);

  // A list that is still being written is not waited for. Its writer ends by SIGPIPE, or when it is closed.
  run_program piped(test::by_shell("(echo false; yes true) | $U -j1 --halt soon -"));
  CHECK(piped.end() == 1);
  CHECK(says(piped, "1 job, 1 failed, "));
  CHECK(says(piped, " or more not run, "));
}

TEST_CASE("soon waits for what runs, now ends it") {
  test::clean_floor floor;
  // The second waits until the first is about to fail, and is then seen to its end, or not.
  std::string fifo = test::directory() / "soon";
  auto list = list_of("sh -c 'echo > " + fifo + "; exit 1'\nsh -c 'read x < " + fifo +
                      "; sleep 0.3; echo second'\necho third\n");
  for (const char* when : {"soon", "now"}) {
    run_program run(
        test::by_shell("rm -f " + fifo + "; mkfifo " + fifo + "; $U -j2 --halt " + when + " " + list));
    bool is_soon = std::string(when) == "soon";
    CHECK(run.end() == (is_soon ? 1 : 2));
    CHECK(run.output == (is_soon ? "second\n" : ""));
    CHECK(says(run, ", 1 not run, "));
  }
}

TEST_CASE("it may stop after so many failures, successes or ends, and at a part of the list") {
  test::clean_floor floor;
  auto failures = list_of(lines("false", 10));
  CHECK(run_program({"-j1", failures}).end() == 10);
  CHECK(run_program({"-j1", "--halt", "never", failures}).end() == 10);
  CHECK(run_program({"-j1", "--halt", "soon,fail=2", failures}).end() == 2);
  CHECK(run_program({"-j1", "--halt", "soon,fail=30%", failures}).end() == 3);
  CHECK(run_program({"-j1", "--halt", "soon,done=4", failures}).end() == 4);
  CHECK(run_program({"-j1", "--halt", "soon,success=1", failures}).end() == 10);

  auto mixed = list_of("false\nfalse\necho found\n" + lines("false", 7));
  run_program first({"-j1", "--halt", "now,success=1", mixed});
  CHECK(first.end() == 0);  // that was what was wanted
  CHECK(first.output == "found\n");
  CHECK(says(first, "3 jobs, 2 failed, 7 not run, "));
}
