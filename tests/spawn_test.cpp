// Running a command: what it is, with which arguments, environment, directory, group and signals.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <sstream>

#include "support/apart.hpp"
#include "support/commands.hpp"
#include "support/proc.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;
using uvreap::command;
using uvreap::stdio;

namespace {

std::set<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::set<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.insert(line);
  return lines;
}

// A field of /proc/PID/status, which is hexadecimal for signal sets.
std::uint64_t signal_set(const std::string& status, const std::string& field) {
  auto at = status.find(field + ":");
  REQUIRE(at != std::string::npos);
  return std::stoull(status.substr(at + field.size() + 1), nullptr, 16);
}

bool has_signal(std::uint64_t set, int signum) { return (set >> (signum - 1) & 1) != 0; }

// Its input is a pipe, so that it lives until the test closes that.
struct living_child {
  explicit living_child(test::stage& stage, command what = {.argv = {"cat"}}) {
    what.input = stdio::pipe(&input);
    REQUIRE(stage.reaper.spawn(&pid, what, [this](const child_exit& exit) { told.push_back(exit); }) == 0);
  }
  void end(test::stage& stage) {
    ::close(input);
    stage.run_until([this] { return !told.empty(); });
  }
  int input = test::untouched;
  pid_t pid = 0;
  std::vector<child_exit> told;
};

}  // namespace

TEST_CASE("a command is told once, with its code and what it cost, and its pid is known before") {
  test::stage stage;
  living_child child(stage, test::shell("read line; exit 3"));
  CHECK(test::children() == std::set<pid_t>{child.pid});
  stage.run_for(milliseconds(30));
  CHECK(child.told.empty());
  child.end(stage);
  stage.run_for(milliseconds(30));
  REQUIRE(child.told.size() == 1);
  CHECK(child.told[0].pid == child.pid);
  CHECK(child.told[0].status.exit_code() == 3);
  CHECK(child.told[0].usage.max_rss_bytes > 0);
  CHECK_FALSE(child.told[0].lost);
}

TEST_CASE("a command that ends before anybody can look is told too") {
  test::stage stage;
  int told = 0;
  for (int i = 0; i < 50; ++i) {
    pid_t pid = 0;
    REQUIRE(stage.reaper.spawn(&pid, {.argv = {"true"}}, [&](const child_exit& exit) {
      CHECK(exit.status.success());
      ++told;
    }) == 0);
    if (i % 5 == 0) test::wait_until_ended(pid);
  }
  stage.run_dry();
  CHECK(told == 50);
}

TEST_CASE("spawn works without a reaper, and its child is there to be waited for") {
  test::stage stage;
  stage.leaves_children = true;
  pid_t pid = 0;
  REQUIRE(uvreap::spawn(&pid, test::shell("exit 5")) == 0);
  auto result = uvreap::wait4(uvreap::scope::one(pid), 0);
  CHECK(result.pid == pid);
  CHECK(result.status.exit_code() == 5);
  CHECK(test::children().empty());
}

TEST_CASE("arguments arrive as they are, empty and odd ones too") {
  test::stage stage;
  command print{.argv = {"printf", "[%s]", "", " a  b ", "$HOME `x` \"'", "line\nline", "\xff\x01"}};
  CHECK(test::output_of(stage, print) == "[][ a  b ][$HOME `x` \"'][line\nline][\xff\x01]");
}

TEST_CASE("a program may be run under another name") {
  test::stage stage;
  command named{.argv = {"another-name", "-c", "echo $0"}, .program = "sh"};
  CHECK(test::output_of(stage, named) == "another-name\n");
}

TEST_CASE("the environment is ours, with what is set and without what is unset") {
  test::stage stage;
  ::setenv("UVREAP_A", "ours", 1);
  ::setenv("UVREAP_B", "ours", 1);
  ::setenv("UVREAP_C", "ours", 1);
  auto plain = lines_of(test::output_of(stage, {.argv = {"env"}}));
  CHECK(plain.contains("UVREAP_A=ours"));

  command changed{.argv = {"env"}};
  changed.env.set = {{"UVREAP_B", "new=1"}, {"UVREAP_D", ""}, {"UVREAP_C", "both"}};
  changed.env.unset = {"UVREAP_A", "UVREAP_C", "UVREAP_NOT_THERE"};
  auto lines = lines_of(test::output_of(stage, changed));
  CHECK_FALSE(lines.contains("UVREAP_A=ours"));
  CHECK_FALSE(lines.contains("UVREAP_B=ours"));
  CHECK_FALSE(lines.contains("UVREAP_C=ours"));
  CHECK(lines.contains("UVREAP_B=new=1"));
  CHECK(lines.contains("UVREAP_C=both"));
  CHECK(lines.contains("UVREAP_D="));
  CHECK(lines.size() == plain.size());  // A is gone, D has come
  for (const char* name : {"UVREAP_A", "UVREAP_B", "UVREAP_C"}) ::unsetenv(name);
}

TEST_CASE("an environment of its own has nothing of ours, and the program is found in our PATH still") {
  test::stage stage;
  command bare{.argv = {"env"}, .env = {.inherit = false}};
  CHECK(test::output_of(stage, bare).empty());
  bare.env.set = {{"PATH", "/nowhere"}, {"ONE", "1"}};
  CHECK(test::output_of(stage, bare) == "ONE=1\nPATH=/nowhere\n");
}

TEST_CASE("a command runs in its directory; its program is relative to that, and its files to ours") {
  test::stage stage;
  test::scratch_directory ours;
  REQUIRE(::mkdir((ours / "there").c_str(), 0755) == 0);
  std::string tool = ours.make("there/tool", "#!/bin/sh\npwd -P\n", 0755);
  char before[4096];
  REQUIRE(::getcwd(before, sizeof before) != nullptr);
  REQUIRE(::chdir(ours.path().c_str()) == 0);
  command run{.argv = {"./tool"}, .cwd = "there"};
  CHECK(test::output_of(stage, run) == ours / "there" + "\n");

  run.output = stdio::file("written", O_WRONLY | O_CREAT);
  pid_t pid = 0;
  bool told = false;
  CHECK(stage.reaper.spawn(&pid, run, [&](const child_exit&) { told = true; }) == 0);
  stage.run_until([&] { return told; });
  CHECK(ours.contents("written") == ours / "there" + "\n");
  CHECK(::chdir(before) == 0);
}

TEST_CASE("a command leads a group or a session if it is asked to, by the time that spawn returns") {
  test::stage stage;
  using group = uvreap::process_group;
  for (group wanted : {group::inherited, group::created, group::session}) {
    living_child child(stage, {.argv = {"cat"}, .group = wanted});
    CHECK(::getpgid(child.pid) == (wanted == group::inherited ? ::getpgrp() : child.pid));
    CHECK(::getsid(child.pid) == (wanted == group::session ? child.pid : ::getsid(0)));
    child.end(stage);
  }
}

TEST_CASE("a command that leads a group is ended with all of it") {
  test::stage stage;
  int from_child = -1;
  command family = test::shell("exec 3<&0; cat <&3 & cat <&3 & cat <&3");
  family.group = uvreap::process_group::created;
  family.output = stdio::pipe(&from_child);
  living_child child(stage, family);
  REQUIRE(stage.reaper.terminate(child.pid, std::chrono::seconds(2)) == 0);
  stage.run_until([&] { return !child.told.empty(); });
  CHECK(test::comes_to_its_end(from_child));
  CHECK(child.told[0].status.term_signal() == SIGTERM);
  ::close(from_child);
  ::close(child.input);
  stage.run_dry();
}

TEST_CASE("a command's deadline holds from the spawn on") {
  test::stage stage;
  int input = -1;
  pid_t pid = 0;
  std::vector<child_exit> told;
  command cat{.argv = {"cat"}, .input = stdio::pipe(&input)};
  REQUIRE(stage.reaper.spawn(&pid, cat, {.timeout = milliseconds(50)},
                             [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].timed_out);
  CHECK(told[0].status.term_signal() == SIGTERM);
  ::close(input);
}

TEST_CASE(
    "signals are reset in the child: nothing blocked and nothing ignored, unless it is to inherit that") {
  test::stage stage;
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigaddset(&blocked, SIGRTMAX);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &blocked, &before) == 0);
  auto pipe_before = ::signal(SIGPIPE, SIG_IGN);
  auto hangup_before = ::signal(SIGHUP, SIG_IGN);
  auto user_before = ::signal(SIGUSR2, [](int) {});

  command look{.argv = {"cat", "/proc/self/status"}};
  std::string reset = test::output_of(stage, look);
  CHECK(signal_set(reset, "SigBlk") == 0);
  CHECK(signal_set(reset, "SigIgn") == 0);

  look.signals = uvreap::child_signals::inherited;
  std::string inherited = test::output_of(stage, look);
  CHECK(has_signal(signal_set(inherited, "SigBlk"), SIGUSR1));
  CHECK(has_signal(signal_set(inherited, "SigBlk"), SIGRTMAX));
  CHECK(has_signal(signal_set(inherited, "SigIgn"), SIGPIPE));
  CHECK(has_signal(signal_set(inherited, "SigIgn"), SIGHUP));
  CHECK_FALSE(has_signal(signal_set(inherited, "SigIgn"), SIGUSR2));

  sigset_t now;
  REQUIRE(::pthread_sigmask(SIG_SETMASK, &before, &now) == 0);
  CHECK(sigismember(&now, SIGUSR1) == 1);  // ours was left as it was
  CHECK((::signal(SIGPIPE, pipe_before) == SIG_IGN));
  CHECK((::signal(SIGHUP, hangup_before) == SIG_IGN));
  ::signal(SIGUSR2, user_before);
}

TEST_CASE("a grandchild that holds the output does not hold the exit back") {
  test::stage stage;
  int from_child = -1;
  command parent = test::shell("exec 3<&0; cat <&3 & exit 3");
  parent.output = stdio::pipe(&from_child);
  living_child child(stage, parent);
  stage.run_until([&] { return !child.told.empty(); });
  CHECK(child.told[0].status.exit_code() == 3);
  char byte = 0;
  CHECK(::read(from_child, &byte, 1) == -1);
  CHECK(errno == EAGAIN);  // and no end of file
  ::close(child.input);
  CHECK(test::comes_to_its_end(from_child));
  ::close(from_child);
}

TEST_CASE("an exit while the loop's thread is held by an exec is not lost") {
  test::stage stage;
  test::scratch_directory scratch;
  std::string fifo = scratch / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  test::gate gate;
  std::set<pid_t> told;
  auto tell = [&](const child_exit& exit) {
    CHECK(exit.status.success());
    told.insert(exit.pid);
  };
  pid_t first = test::make_child([&] { return gate.wait(), 0; });
  REQUIRE(stage.reaper.watch(first, tell) == 0);
  // It lets the first one end and waits for that, and only then opens the other end of what the exec waits
  // for.
  pid_t opener = test::make_child([&] {
    gate.open();
    while (test::state_of(first) != 'Z') ::usleep(1000);
    return ::open(fifo.c_str(), O_WRONLY) < 0 ? 1 : 0;
  });
  REQUIRE(stage.reaper.watch(opener, tell) == 0);
  pid_t held = 0;
  REQUIRE(stage.reaper.spawn(&held, {.argv = {"cat"}, .input = stdio::file(fifo, O_RDONLY)}, tell) == 0);
  CHECK(test::zombies().contains(first));
  stage.run_until([&] { return told.size() == 3; });
  CHECK(told == std::set<pid_t>{first, opener, held});
}

TEST_CASE("spawn answers as every call does before start, after close and in a forked copy") {
  test::stage stage;
  auto nothing = [](const child_exit&) {};
  uvreap::reaper idle(stage.loop);
  pid_t pid = test::untouched;
  CHECK(idle.spawn(&pid, {.argv = {"true"}}, nothing) == UV_EINVAL);
  CHECK(stage.reaper.spawn(&pid, {.argv = {"true"}}, {.timeout = milliseconds(-1)}, nothing) == UV_EINVAL);
  auto copy = test::apart([&] {
    HOLDS(stage.reaper.spawn(&pid, {.argv = {"true"}}, nothing) == UV_EPERM);
    return 0;
  });
  CHECK_MESSAGE(copy.word == 0, copy.said);
  CHECK(pid == test::untouched);
}
