// A child that this process itself traces, as a debugger does: its stops are the tracer's, whatever the
// reaper looks at meanwhile, and its end is the reaper's.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "support/proc.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

uvreap::options of_this_run() {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(10);  // it asks often, and must not take the stop at any time
  return options;
}

// Stops by a signal of its own as soon as it lives, in a ptrace stop, and ends with a code when it goes on.
class tracee {
 public:
  explicit tracee(int code = 5) {
    pid = test::make_child([=] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return errno;
      ::signal(SIGUSR1, SIG_IGN);
      ::raise(SIGUSR1);
      return code;
    });
    while (!std::strchr("tTZ", test::state_of(pid))) ::usleep(200);
    if (test::state_of(pid) == 'Z') MESSAGE("SKIP: ptrace is refused here");
  }
  [[nodiscard]] bool is_there() const { return test::state_of(pid) != 'Z'; }

  // The tracer's own question, which takes the stop: 0, it is not there.
  [[nodiscard]] int take_stop() const {
    int word = 0;
    return ::waitpid(pid, &word, WNOHANG | __WALL) == pid && WIFSTOPPED(word) ? WSTOPSIG(word) : 0;
  }
  void go_on() const { REQUIRE(::ptrace(PTRACE_CONT, pid, nullptr, nullptr) == 0); }

  pid_t pid = 0;
};

struct listener {
  std::vector<child_exit> told;
  std::vector<uvreap::child_change> changes;
  [[nodiscard]] uvreap::callback callback() {
    return [this](const child_exit& exit) { told.push_back(exit); };
  }
};

}  // namespace

TEST_CASE("negative control: without a reaper the tracer's wait gets the stop") {
  tracee child;
  if (child.is_there()) {
    CHECK(child.take_stop() == SIGUSR1);
    CHECK(child.take_stop() == 0);
    child.go_on();
  }
  CHECK(::waitpid(child.pid, nullptr, 0) == child.pid);
}

TEST_CASE("a stop of a child that this process traces stays for the tracer, however often the reaper looks") {
  for (bool wakes : {false, true}) {
    CAPTURE(wakes);
    test::stage stage(of_this_run());
    listener listener;
    tracee child;
    REQUIRE(stage.reaper.watch(child.pid, listener.callback()) == 0);
    if (child.is_there()) {
      for (int turns = 0; turns < 5; ++turns) {
        if (wakes) ::raise(SIGCHLD);
        stage.turn();
      }
      stage.run_for(milliseconds(60));
      CHECK(listener.told.empty());
      CHECK(stage.reaper.stats().watched == 1);
      CHECK(child.take_stop() == SIGUSR1);
      child.go_on();
    }
    stage.run_until([&] { return !listener.told.empty(); });
    CHECK_FALSE(listener.told[0].lost);
    if (listener.told[0].status.exit_code() != EPERM)
      CHECK(listener.told[0].status.raw() == test::exited_with(5));
  }
}

TEST_CASE(
    "a child that was watched before it stopped for its tracer is left to it, and so are its siblings' "
    "stops") {
  test::stage stage(of_this_run());
  listener listener;
  listener.told.reserve(8);
  std::vector<std::unique_ptr<tracee>> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(std::make_unique<tracee>(10 + i));
    REQUIRE(stage.reaper.watch(children.back()->pid, listener.callback()) == 0);
  }
  bool is_there = children[0]->is_there();
  for (int round = 0; is_there && round < 4; ++round) {
    stage.run_for(milliseconds(30));
    CHECK(children[static_cast<std::size_t>(round)]->take_stop() == SIGUSR1);
    children[static_cast<std::size_t>(round)]->go_on();
    stage.run_until([&] { return listener.told.size() == static_cast<std::size_t>(round) + 1; });
    CHECK(listener.told.back().status.raw() == test::exited_with(10 + round));
  }
  stage.run_until([&] { return listener.told.size() == 4; });
}

TEST_CASE("kill() of a child in a stop of its tracer's is no end of it, and its end is delivered") {
  test::stage stage(of_this_run());
  listener listener;
  tracee child;
  REQUIRE(stage.reaper.watch(child.pid, listener.callback()) == 0);
  if (child.is_there()) {
    stage.run_for(milliseconds(30));
    CHECK(stage.reaper.kill(child.pid, 0) == 0);
    CHECK(child.take_stop() == SIGUSR1);
    CHECK(stage.reaper.kill(child.pid, SIGKILL) == 0);
  }
  stage.run_until([&] { return !listener.told.empty(); });
  if (listener.told[0].status.signaled()) CHECK(listener.told[0].status.term_signal() == SIGKILL);
}

TEST_CASE("a child in a stop of its tracer's gets its deadline: SIGKILL ends it, and it is marked") {
  test::stage stage(of_this_run());
  listener listener;
  tracee child;
  uvreap::watch_options options{.timeout = milliseconds(20), .grace = milliseconds(20)};
  REQUIRE(stage.reaper.watch(child.pid, options, listener.callback()) == 0);
  bool is_there = child.is_there();
  stage.run_until([&] { return !listener.told.empty(); });
  if (!is_there) return;
  CHECK_FALSE(listener.told[0].lost);
  CHECK(listener.told[0].timed_out);
  CHECK(listener.told[0].status.term_signal() == SIGKILL);
}

TEST_CASE("a child that stops for its tracer in the moment of its deadline is not taken for ended") {
  test::stage stage(of_this_run());
  listener listener;
  test::gate gate;
  pid_t pid = test::make_child([&] {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return errno;
    gate.wait();
    return ::raise(SIGUSR1);
  });
  uvreap::watch_options options{.timeout = milliseconds(50), .grace = milliseconds(20)};
  REQUIRE(stage.reaper.watch(pid, options, listener.callback()) == 0);
  stage.turn();
  gate.open();
  while (!std::strchr("tTZ", test::state_of(pid))) ::usleep(200);
  bool is_there = test::state_of(pid) != 'Z';
  ::usleep(60'000);  // it is due before the reaper looks
  stage.run_until([&] { return !listener.told.empty(); });
  if (!is_there) {
    MESSAGE("SKIP: ptrace is refused here");
    return;
  }
  CHECK(listener.told[0].timed_out);
  CHECK(listener.told[0].status.term_signal() == SIGKILL);
}

TEST_CASE("a stop that on_change would tell is the tracer's as well, where this process traces the child") {
  test::stage stage(of_this_run());
  listener listener;
  tracee child;
  uvreap::watch_options options;
  options.on_change = [&](const uvreap::child_change& change) { listener.changes.push_back(change); };
  REQUIRE(stage.reaper.watch(child.pid, options, listener.callback()) == 0);
  if (child.is_there()) {
    stage.run_for(milliseconds(60));
    CHECK(child.take_stop() == SIGUSR1);
    CHECK(listener.changes.empty());
    child.go_on();
  }
  stage.run_until([&] { return !listener.told.empty(); });
}

TEST_CASE("any() leaves an unclaimed child's stop to its tracer as well") {
  auto options = of_this_run();
  options.children = uvreap::scope::any();
  options.unclaimed_grace = milliseconds(10);
  std::vector<child_exit> told;
  options.on_unclaimed = [&](const child_exit& exit) { told.push_back(exit); };
  test::stage stage(options);
  tracee child;
  if (child.is_there()) {
    stage.run_for(milliseconds(200));
    CHECK(told.empty());
    CHECK(child.take_stop() == SIGUSR1);
    child.go_on();
  }
  stage.run_until([&] { return told.size() == 1; });
  CHECK(told[0].pid == child.pid);
}
