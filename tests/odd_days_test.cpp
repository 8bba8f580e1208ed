// Odd days of a reaper: no number left for a child, a process that was stopped meanwhile, another clock, a
// deadline and an end in one turn, a program that is not there, a daemon.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "support/apart.hpp"
#include "support/own_process.hpp"
#include "support/sanitizers.hpp"
#include "support/stage.hpp"
#include "uvreap/process.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

// pid_max belongs to the pid namespace since Linux 6.14; before that, it is the machine's.
bool pid_max_is_the_namespace_s() {
  utsname name{};
  int major = 0;
  int minor = 0;
  return ::uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
         (major > 6 || (major == 6 && minor >= 14));
}

bool write_to(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  return !file.fail();
}

}  // namespace

TEST_CASE("when zombies have all the numbers, reaping them makes room for another child" *
          doctest::skip(test::under_valgrind())) {  // it ends here without a word (3.19)
  if (!pid_max_is_the_namespace_s()) {
    MESSAGE("SKIP: here pid_max is the whole machine's");
    return;
  }
  bool ran = test::apart(test::place::pid_1, [] {
    test::stage stage;
    int told = 0;
    auto tell = [&](const child_exit& exit) {
      CHECK(exit.status.exit_code() == 9);
      ++told;
    };
    auto nine = [] { return 9; };
    REQUIRE(write_to("/proc/sys/kernel/pid_max", "400"));
    int made = 0;
    int error = 0;
    for (pid_t pid = 0; made < 1000 && (error = stage.reaper.fork(&pid, nine, tell)) == 0;) ++made;
    CHECK(made > 50);
    CHECK(error == UV_EAGAIN);
    stage.run_until([&] { return told == made; });
    pid_t pid = 0;
    REQUIRE(stage.reaper.fork(&pid, nine, tell) == 0);
    stage.run_until([&] { return told == made + 1; });
  });
  if (!ran) MESSAGE("SKIP: no pid namespace");
}

TEST_CASE("a process that was stopped while a thousand children ended is told of each when it goes on") {
  auto end = test::apart([] {
    const std::size_t count = test::forks_are_slow() ? 200 : 1000;
    uv_loop_t loop;
    HOLDS(uv_loop_init(&loop) == 0);
    std::optional<uvreap::reaper> reaper(std::in_place, loop, test::options_of_this_run());
    HOLDS(reaper->start() == 0);
    test::gate gate;
    std::vector<int> told(count);
    for (std::size_t i = 0; i < count; ++i) {
      pid_t pid = 0;
      auto tell = [&told, i](const child_exit& exit) { told[i] += exit.status.exit_code() == 4 ? 1 : 100; };
      HOLDS(reaper->fork(
                &pid, [&] { return gate.wait(), 4; }, tell) == 0);
    }
    pid_t us = ::getpid();
    pid_t stopper = -1;
    HOLDS(uvreap::fork(&stopper) == 0);
    if (stopper == 0) {
      ::kill(us, SIGSTOP);
      gate.open(static_cast<int>(count));
      ::usleep(500'000);  // what they do meanwhile is nobody's to see; they need not all have ended
      ::kill(us, SIGCONT);
      ::_exit(0);
    }
    HOLDS(uv_run(&loop, UV_RUN_DEFAULT) == 0);  // until nobody is watched any more
    for (int times : told) HOLDS(times == 1);
    HOLDS(::waitpid(stopper, nullptr, 0) == stopper);
    reaper.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    HOLDS(uv_loop_close(&loop) == 0);
    return 0;
  });
  CHECK_MESSAGE(end.word == 0, end.said);
}

TEST_CASE("an hour between the clocks of two time namespaces moves neither poller nor deadline") {
  auto end = test::apart([] {
    if (::unshare(CLONE_NEWTIME) != 0 || !write_to("/proc/self/timens_offsets", "monotonic 3600 0")) {
      return 77;
    }
    pid_t inside = ::fork();  // it is the children of this process that have the other clock
    if (inside != 0) {
      int word = -1;
      HOLDS(::waitpid(inside, &word, 0) == inside);
      return WIFEXITED(word) ? WEXITSTATUS(word) : 98;
    }
    uv_loop_t loop;
    HOLDS(uv_loop_init(&loop) == 0);
    auto options = test::options_of_this_run();
    options.poll_every = milliseconds(50);
    uvreap::reaper reaper(loop, options);
    HOLDS(reaper.start() == 0);
    int told = 0;
    bool timed_out = false;
    auto sleep = [] { return ::pause(), 0; };
    pid_t pid = 0;
    HOLDS(reaper.fork(&pid, sleep, {.timeout = milliseconds(100)}, [&](const child_exit& exit) {
      ++told;
      timed_out = exit.timed_out;
    }) == 0);
    HOLDS(reaper.fork(
              &pid, [] { return 0; }, [&](const child_exit&) { ++told; }) == 0);
    HOLDS(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    HOLDS(told == 2);
    HOLDS(timed_out);
    ::_exit(0);
  });
  if (WIFEXITED(end.word) && WEXITSTATUS(end.word) == 77) {
    MESSAGE("SKIP: no time namespace");
    return;
  }
  CHECK_MESSAGE(end.word == 0, end.said);
}

TEST_CASE("a child that ends before its deadline is not timed out, though both come in one late turn") {
  test::stage stage;
  test::gate gate;
  std::vector<child_exit> told;
  pid_t pid = 0;
  REQUIRE(stage.reaper.fork(
              &pid, [&] { return gate.wait(), 5; }, {.timeout = milliseconds(40)},
              [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  stage.turn();
  gate.open();
  test::wait_until_ended(pid);
  ::usleep(60'000);  // the loop is held over the deadline
  stage.run_until([&] { return !told.empty(); });
  stage.run_for(milliseconds(30));
  REQUIRE(told.size() == 1);
  CHECK(told[0].status.raw() == test::exited_with(5));
  CHECK_FALSE(told[0].timed_out);
}

TEST_CASE("a forked child whose exec fails ends as it says") {
  test::stage stage;
  int code = -1;
  pid_t pid = 0;
  auto exec = [] {
    ::execl("/no/such/program", "program", nullptr);
    return 127;
  };
  REQUIRE(stage.reaper.fork(&pid, exec, [&](const child_exit& exit) { code = exit.status.exit_code(); }) ==
          0);
  stage.run_until([&] { return code != -1; });
  CHECK(code == 127);
}

TEST_CASE("of a daemon the process in the middle is told at once, and the daemon is none of ours") {
  test::stage stage;
  int numbers[2];
  REQUIRE(::pipe2(numbers, O_CLOEXEC) == 0);
  bool told = false;
  pid_t middle = 0;
  auto make_a_daemon = [&] {
    ::setsid();
    pid_t daemon = ::fork();
    if (daemon == 0) {
      ::close(numbers[1]);
      for (;;) ::pause();
    }
    return ::write(numbers[1], &daemon, sizeof daemon) == sizeof daemon ? 0 : 1;
  };
  REQUIRE(stage.reaper.fork(&middle, make_a_daemon, [&](const child_exit& exit) {
    CHECK(exit.status.success());
    told = true;
  }) == 0);
  stage.run_until([&] { return told; });  // although the daemon lives on
  pid_t daemon = 0;
  REQUIRE(::read(numbers[0], &daemon, sizeof daemon) == sizeof daemon);
  CHECK(::kill(daemon, 0) == 0);
  CHECK(stage.reaper.watch(daemon, [](const child_exit&) { FAIL("told of a daemon"); }) == UV_ESRCH);
  CHECK(stage.reaper.kill(daemon, 0) == UV_ESRCH);
  ::kill(daemon, SIGKILL);
  stage.run_for(milliseconds(30));
  ::close(numbers[0]);
  ::close(numbers[1]);
}
