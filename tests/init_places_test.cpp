// uvreap init as process 1 of containers that lack something, and where nothing more can be made.
#include "support/places.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/contender.hpp"

namespace {

using nlohmann::json;
using test::probe;
using test::supervised;
using test::words;
using test::operator+;  // NOLINT(misc-unused-using-decls): clang-tidy does not see operators

words init(const words& arguments) { return words{std::getenv("UVREAP_INIT")} + arguments; }

int count(const std::string& text, const std::string& part) {
  int times = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++times;
  return times;
}

struct place {
  std::string made_by;
  words (*user)(const words&);
};

words as_root(const words& command) { return command; }

const std::vector<place> places = {
    {"umount -l /proc", as_root},
    {"mount -t tmpfs none /dev", as_root},
    {"mount -o remount,ro,bind /", as_root},
    {"", test::as_ordinary_user},
    {"", test::as_docker_has_it},
    {"umount -l /proc; mount -t tmpfs none /dev; mount -o remount,ro,bind /", test::as_ordinary_user},
    {"umount -l /proc; mount -t tmpfs none /dev; mount -o remount,ro,bind /", test::as_docker_has_it},
};

}  // namespace

TEST_CASE("wherever it is process 1: statuses, streams, signals, orphans, and what is left") {
  if (test::no_places()) return;
  for (const place& where : places) {
    CAPTURE(where.made_by);
    test::clean_floor floor;
    auto in_place = [&](const words& command) {
      return test::as_pid_1_in(where.made_by, where.user(command));
    };
    CHECK(supervised(in_place(init({"sh", "-c", "exit 42"}))).end() == 42);
    CHECK(supervised(in_place(init({"/no/such/command"}))).end() == 127);
    supervised cat(in_place(init({"cat"})), {.input = "a line\n"});
    CHECK(cat.end() == 0);
    CHECK(cat.output() == "a line\n");
    CHECK(cat.errors().empty());
    CHECK(supervised(in_place(init(probe({"back", "20000", "1", "15", "10", "34"})))).end() == 0);
    supervised orphans(in_place(init(words{"-w"} + probe({"gone", "100"}))));
    CHECK(orphans.end() == 0);
    CHECK(count(orphans.errors(), "reaped orphan") == 100);
    supervised left(in_place(init(probe({"leave", "polite"}))));
    CHECK(left.end() == 0);
    CHECK(left.output() == "ended well\n");
  }
}

TEST_CASE("closed streams need no /dev/null, and are closed for the command, too") {
  if (test::no_places()) return;
  test::clean_floor floor;
  std::string script = "\"$0\" sh -c 'for fd in 0 1 2; do eval \": <&$fd\" || exit 1$fd; done' <&- >&- 2>&-";
  words closed = {"sh", "-c", script};
  int without = supervised(test::as_pid_1_in("mount -t tmpfs none /dev", closed + words{"env"})).end();
  int with = supervised(test::as_pid_1_in("mount -t tmpfs none /dev", closed + init({}))).end();
  CHECK(without == 2);  // dash: a redirection of a special built-in
  CHECK(with == without);
}

TEST_CASE("a pid limit that is used up ends nothing: -w and --stats are written") {
  if (test::no_places()) return;
  test::clean_floor floor;
  {
    test::pid_limit three(3);
    supervised run(three.as_pid_1(init({"-w", "--stats", "sh", "-c", "exit 42"})));
    CHECK(run.end() == 42);
    CHECK(json::parse(run.errors(), nullptr, false)["exit_status"] == 42);
  }
  test::pid_limit twenty(20);
  supervised run(twenty.as_pid_1(init(words{"-w", "--stats"} + probe({"fill"}))));
  CHECK(run.end() == 0);
  CHECK(count(run.errors(), "uvreap-init: reaped orphan") ==
        17);  // the command, and one that could not fork, were there, too
  CHECK(count(run.errors(), "\"orphans\":{\"reaped\":17,") == 1);
}

TEST_CASE("orphans do not use up a pid limit, with /proc and without") {
  if (test::no_places()) return;
  test::clean_floor floor;
  for (std::string made_by : {"true", "umount -l /proc"}) {
    CAPTURE(made_by);
    test::pid_limit sixty(60);
    words command = {"sh", "-c", made_by + "; exec \"$@\"", "sh"};
    CHECK(supervised(sixty.as_pid_1(command + init(probe({"gone", "50"})))).end() == 0);
    // 300 in a row, each of which an unreaped one would keep from being made.
    CHECK(supervised(sixty.as_pid_1(command + init(probe({"one_by_one", "300"})))).end() == 0);
  }
}

TEST_CASE("uvreap run and the demo say that no thread can be made, and do not abort") {
  if (test::no_places()) return;
  test::clean_floor floor;
  test::pid_limit two(2);
  supervised run(two.as_pid_1({std::getenv("UVREAP_PROGRAM"), "run", "--", "true"}));
  CHECK(run.end() == 255);
  CHECK(run.errors() == "uvreap run: cannot make threads: resource temporarily unavailable\n");
  supervised demo(two.as_pid_1({std::getenv("UVREAP_DEMO")}));
  CHECK(demo.end() == 1);
  CHECK(demo.errors().find("make threads") != std::string::npos);
}

TEST_CASE("where no process can be made at all it says so") {
  if (test::no_places()) return;
  test::clean_floor floor;
  test::pid_limit one(1);
  supervised run(one.as_pid_1(init({"true"})));
  CHECK(run.end() == 255);
  CHECK(run.errors() == "uvreap-init: cannot fork: resource temporarily unavailable\n");
}
