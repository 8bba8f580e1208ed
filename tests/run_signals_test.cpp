// uvreap run, from outside: signals, terminals, and being PID 1.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/proc.hpp"
#include "support/run_program.hpp"

namespace {

using test::by_shell;
using test::list_of;
using test::run_program;
using test::signal_base;
using test::where;

constexpr char ctrl_c = '\003';
constexpr char ctrl_z = '\032';
constexpr char ctrl_backslash = '\034';

// The live line shows how a job's command begins, so the word that is waited for is not in there.
const char* const two_that_sleep =
    "sh -c 'w=begun; echo $w $$; exec sleep 600'\nsh -c 'w=begun; echo $w $$; exec sleep 600'\n";

// A zombie is not: it may be somebody else's to reap.
bool is_there(pid_t pid) {
  char state = test::state_of(pid);
  return state != '-' && state != 'Z';
}

bool comes_to(const std::function<bool()>& what) {
  for (int tries = 0; tries < 5000 && !what(); ++tries) ::usleep(1000);
  return what();
}

bool ends_soon(pid_t pid) {
  return comes_to([pid] { return !is_there(pid); });
}

pid_t first_number_after(const std::string& text, const std::string& word) {
  return std::atoi(text.c_str() + text.find(word) + word.size());
}

std::vector<std::string> with_two_that_sleep() {
  return {"-q", "-j2", "--output", "lines", list_of(two_that_sleep)};
}

// Of two_that_sleep, when both have begun.
pid_t first_of_two(run_program& run) {
  REQUIRE(run.read_until("begun ", 2));
  REQUIRE(run.read_until("\n", 2));
  return first_number_after(run.output, "begun ");
}

}  // namespace

TEST_CASE("a signal that was ignored when we were started stays ignored, for the jobs too") {
  test::clean_floor floor;
  auto list =
      list_of("sh -c 'kill -HUP $PPID; kill -INT $PPID; kill -HUP $$; kill -INT $$; echo survived'\n");
  run_program run(by_shell("trap '' HUP INT; exec $U -q " + list));
  CHECK(run.end() == 0);
  CHECK(run.output == "survived\n");

  run_program one(
      by_shell("trap '' HUP; exec $U -q -- sh -c 'kill -HUP $PPID; kill -HUP $$; echo survived'"));
  CHECK(one.end() == 0);
  CHECK(one.output == "survived\n");
}

TEST_CASE("jobs have SIGPIPE as we had it, whatever we do with it ourselves") {
  test::clean_floor floor;
  auto list = list_of("sh -c 'yes | head -n 1 > /dev/null; kill -PIPE $$; echo survived'\n");
  CHECK(run_program({"-q", list}).end() == 1);
  run_program ignored(by_shell("trap '' PIPE; exec $U -q " + list));
  CHECK(ignored.end() == 0);
}

TEST_CASE("a signal that kills us leaves no job behind, and we die of it") {
  test::clean_floor floor;
  for (int signum : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGALRM, SIGXCPU, SIGRTMIN + 3}) {
    run_program run(with_two_that_sleep());
    pid_t job = first_of_two(run);
    run.send(signum);
    CHECK(run.end() == signal_base + signum);
    CHECK(!is_there(job));
  }
}

TEST_CASE("a fault of our own leaves no job behind either") {
  test::clean_floor floor;
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_CORE, &limit) == 0);
  rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_CORE, &none) == 0);
  for (int signum : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS}) {
    CAPTURE(signum);
    run_program run(with_two_that_sleep());
    pid_t job = first_of_two(run);
    run.send(signum);
    CHECK(run.end() == signal_base + signum);
    CHECK(ends_soon(job));
  }
  REQUIRE(::setrlimit(RLIMIT_CORE, &limit) == 0);
}

// The jobs have the write end of a pipe as descriptor 9, and cat ends when they all have.
TEST_CASE("a fault of our own that comes while a job is being started leaves none behind") {
  test::clean_floor floor;
  auto list = list_of("sleep 600\nsleep 600\nsleep 600\nsleep 600\nsleep 600\nsleep 600\n");
  run_program run(
      by_shell("ulimit -c 0; for time in 02 03 04 05 06 08 10 12 14 16 18 20 25; do "
               "{ $U -q -j6 " +
               list +
               " 9>&1 > /dev/null & sleep 0.0$time; kill -ABRT $!; wait $!; } 2> /dev/null | cat; "
               "done; echo all gone"));
  CHECK(run.end() == 0);
  CHECK(run.output == "all gone\n");
}

TEST_CASE("a signal ends us as such, whatever was wrong before") {
  test::clean_floor floor;
  run_program wrong_line(
      {"-q", "-j2", "--output", "lines", list_of("echo 'not closed\n" + std::string(two_that_sleep))});
  (void)first_of_two(wrong_line);
  wrong_line.send(SIGINT);
  CHECK(wrong_line.end() == signal_base + SIGINT);

  if (test::no_terminals()) return;
  run_program hung_up({"-j2", "--output", "lines", list_of(two_that_sleep)}, where::whole_terminal);
  pid_t job = first_of_two(hung_up);
  hung_up.close_output();
  CHECK(hung_up.end() == signal_base + SIGHUP);
  CHECK(!is_there(job));
}

TEST_CASE("a reader that does not read holds us until the second signal, in every way of output") {
  test::clean_floor floor;
  std::string full = test::directory() / "full";
  auto list = list_of("sh -c 'yes | head -c 3000000'\nsh -c 'sleep 0.5; touch " + full + "; sleep 600'\n");
  for (const char* how : {"--json", "--output lines", "--output group"}) {
    CAPTURE(how);
    std::string fifo = test::directory() / "unread";
    run_program run(by_shell(
        "rm -f " + fifo + ' ' + full + "; mkfifo " + fifo + "; exec 7<> " + fifo +
        "; $U -q -j2 --grace 0.1 " + how + ' ' + list + " > " + fifo + " 2> /dev/null & until [ -e " + full +
        " ]; do sleep 0.05; done; "
        "while kill -TERM $! 2> /dev/null; do sleep 0.05; done; wait $!; echo status $?"));
    CHECK(run.end() == 0);
    CHECK(run.output == "status 143\n");
  }
}

TEST_CASE("a single command that is out of time ends with what it began") {
  test::clean_floor floor;
  struct command {
    const char* what;
    const char* text;
  };
  for (const command& one : {command{"a child of its", "sleep 600 & echo begun $! end; wait; :"},
                             {"an orphan", "(sleep 600 & echo begun $! end); sleep 600; :"},
                             {"what ignores SIGTERM, as the command",
                              "trap '' TERM; sleep 600 & echo begun $! end; while :; do wait; done"},
                             {"what is stopped", "sleep 600 & echo begun $! end; kill -STOP $!; wait; :"}}) {
    CAPTURE(one.what);
    run_program run({"-q", "--timeout", "0.3", "--grace", "0.3", "--", "sh", "-c", one.text});
    REQUIRE(run.read_until(" end"));
    pid_t begun = first_number_after(run.output, "begun ");
    int status = run.end();
    CHECK((status == 124 || status == signal_base + SIGKILL));
    CHECK(ends_soon(begun));
  }
  // What the program had begun that became us is none of the command's.
  run_program inherited({"-q", "--", "bash", "-c",
                         "sleep 600 > /dev/null 2>&1 & echo begun $! end; exec \"$UVREAP_DEMO\" run -q "
                         "--timeout 0.3 --grace 0.1 -- "
                         "sh -c 'trap \"\" TERM; while :; do sleep 600; done'"});
  REQUIRE(inherited.read_until(" end"));
  pid_t earlier = first_number_after(inherited.output, "begun ");
  CHECK(inherited.end() == 124);
  CHECK(is_there(earlier));
  ::kill(earlier, SIGKILL);

  // Who has left our group is a daemon, and none of the command's.
  run_program run(
      {"-q", "--timeout", "2", "--", "sh", "-c",
       "setsid sleep 600 > /dev/null 2>&1 & until grep -q sleep /proc/$!/comm; do sleep 0.01; done; "
       "echo begun $! end; sleep 600; :"});
  REQUIRE(run.read_until(" end"));
  pid_t daemon = first_number_after(run.output, "begun ");
  CHECK(run.end() == 124);
  CHECK(is_there(daemon));
  ::kill(daemon, SIGKILL);
}

TEST_CASE("on a terminal, Ctrl-C and Ctrl-\\ end the jobs, and what a second one does is said") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  for (char key : {ctrl_c, ctrl_backslash}) {
    run_program run({"-j2", "--output", "lines", list_of(two_that_sleep)}, where::whole_terminal);
    REQUIRE(run.read_until("begun ", 2));
    REQUIRE(run.read_until("\n", 2));
    pid_t job = first_number_after(run.output, "begun ");
    run.press(key);
    CHECK(run.end() == signal_base + (key == ctrl_c ? SIGINT : SIGQUIT));
    CHECK(run.count("ending 2 jobs; a second one kills at once") == 1);
    CHECK(!is_there(job));
  }
}

TEST_CASE("Ctrl-C ends a shell's loop that calls us") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  auto list = list_of("sh -c 'echo begun; exec sleep 600'\n");
  // The shell under test is bash: it goes on with its loop unless what it ran died of the signal.
  run_program run(
      {"-q", "--", "bash", "-c",
       "for i in 1 2 3; do \"$UVREAP_DEMO\" run -q --output lines " + list + "; done; echo went on"},
      where::whole_terminal);
  REQUIRE(run.read_until("begun"));
  run.press(ctrl_c);
  CHECK(run.end() == signal_base + SIGINT);
  CHECK(run.count("begun") == 1);
  CHECK(run.count("went on") == 0);
}

TEST_CASE("a single command has Ctrl-C from the terminal and makes of it what it likes") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  run_program own({"-q", "--", "sh", "-c",
                   "trap got=1 INT; trap 'echo ended' TERM; echo begun; until [ $got ]; do sleep 0.02; done; "
                   "echo trapped; exit 5"},
                  where::whole_terminal);
  REQUIRE(own.read_until("begun"));
  own.press(ctrl_c);
  CHECK(own.end() == 5);
  CHECK(own.count("trapped") == 1);
  CHECK(own.count("ended") == 0);

  run_program dies({"-q", "--", "sh", "-c", "echo begun; exec sleep 600"}, where::whole_terminal);
  REQUIRE(dies.read_until("begun"));
  dies.press(ctrl_c);
  CHECK(dies.end() == signal_base + SIGINT);
}

TEST_CASE("the loop's thread takes all signals: those of the pool block them") {
  test::clean_floor floor;
  run_program run(
      {"-q", "--", "sh", "-c",
       "for each in /proc/$PPID/task/*; do [ ${each##*/} = $PPID ] || grep SigBlk $each/status; done"});
  CHECK(run.end() == 0);
  std::istringstream lines(run.output);
  int threads = 0;
  for (std::string line; std::getline(lines, line); ++threads) {
    CAPTURE(line);
    REQUIRE(line.starts_with("SigBlk:"));
    std::uint64_t blocked = std::stoull(line.substr(line.find('\t') + 1), nullptr, 16);
    for (int signum : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCHLD})
      CHECK((blocked >> (signum - 1) & 1) == 1);
    CHECK((blocked >> (SIGSEGV - 1) & 1) == 0);
  }
  CHECK(threads > 0);
}

TEST_CASE("a single command gets what is sent to us alone") {
  test::clean_floor floor;
  for (int signum : {SIGUSR1, SIGHUP, SIGINT, SIGTERM}) {
    run_program run({"-q", "--", "sh", "-c",
                     "trap got=1 USR1 HUP INT TERM; echo begun; until [ $got ]; do sleep 0.02; done; echo "
                     "trapped; exit 5"});
    REQUIRE(run.read_until("begun"));
    run.send(signum);
    CHECK(run.end() == 5);
    CHECK(run.count("trapped") == 1);
  }
}

TEST_CASE("Ctrl-Z stops the jobs with us, their timeouts rest, and fg goes on with all") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  std::string fifo = test::directory() / "stopped";
  auto list = list_of("sh -c 'echo begun $$; read x < " + fifo + "; echo ended'\n");
  // The shell has job control: it gets the terminal back when we are stopped. The timeout would be over by
  // then.
  run_program run(
      by_shell(
          "mkfifo " + fifo + "; set -m; $U -q --output lines --timeout 3 " + list +
          "; echo stopped; read job; until grep -q ') T ' /proc/$job/stat; do sleep 0.05; done; echo T; " +
          "sleep 3.5; (echo > " + fifo + ") & fg %1 > /dev/null; echo status $?"),
      where::whole_terminal);
  REQUIRE(run.read_until("begun "));
  REQUIRE(run.read_until("\n"));
  pid_t job = first_number_after(run.output, "begun ");
  run.press(ctrl_z);
  REQUIRE(run.read_until("stopped"));
  for (char digit : std::to_string(job) + '\n') run.press(digit);
  CHECK(run.end() == 0);
  CHECK(run.count("T\r\n") == 1);
  CHECK(run.count("ended") == 1);
  CHECK(run.count("status 0") == 1);
}

TEST_CASE("a single command stops and goes on with us, where that was sent to us alone") {
  test::clean_floor floor;
  run_program run({"-q", "--", "sh", "-c", "echo begun $$ end; exec sleep 600"});
  REQUIRE(run.read_until(" end"));
  pid_t command = first_number_after(run.output, "begun ");
  auto becomes = [command](char state) { return comes_to([&] { return test::state_of(command) == state; }); };
  run.send(SIGTSTP);
  CHECK(becomes('T'));
  run.send(SIGCONT);
  CHECK(becomes('S'));
  run.send(SIGTERM);
  CHECK(run.end() == signal_base + SIGTERM);
}

TEST_CASE("a job that asks on the terminal gets an error, and does not wait for ever") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  run_program run({list_of("sh -c 'read x < /dev/tty && echo got $x'\n")}, where::whole_terminal);
  CHECK(run.end() == 1);
  CHECK(run.count("/dev/tty") > 0);
  CHECK(run.count("\ngot") == 0);
}

TEST_CASE("as PID 1 it reaps what jobs leave behind") {
  test::clean_floor floor;
  std::string orphan = test::directory() / "orphan";
  auto list = list_of("sh -c 'sleep 0.05 & echo $! > " + orphan +
                      "'\n"
                      "sh -c 'for i in $(seq 100); do [ -d /proc/$(cat " +
                      orphan + ") ] || exit 0; sleep 0.05; done; exit 1'\n");
  run_program run(by_shell("exec unshare -pf --mount-proc $U -j1 " + list));
  int status = run.end();
  if (run.errors.find("unshare: ") != std::string::npos) {
    MESSAGE("SKIP: no pid namespaces here: ", run.errors);
    return;
  }
  CHECK(status == 0);
}
