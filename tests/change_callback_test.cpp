// What a callback that hears of a stop may do: give its child up, or others, or the reaper.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "support/stage.hpp"

using uvreap::child_change;
using uvreap::child_exit;
using uvreap::watch_options;

namespace {

// Two stopped children, whose stops are found in one pass and told one after the other.
struct two_stopped {
  test::gate gate;
  std::vector<pid_t> pids;

  two_stopped() {
    for (int i = 0; i < 2; ++i) pids.push_back(test::make_child([this] { return gate.wait(), 4; }));
  }

  void stop_both() const {
    for (pid_t pid : pids) {
      CHECK(::kill(pid, SIGSTOP) == 0);
      siginfo_t info{};
      while (::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED | WNOWAIT) != 0 && errno == EINTR) {
      }
    }
  }

  void let_both_end() const {
    for (pid_t pid : pids) CHECK(::kill(pid, SIGCONT) == 0);
    gate.open(2);
  }

  // They are ours again: each is there, with its status.
  void collect_both() const {
    let_both_end();
    for (pid_t pid : pids) {
      int word = -1;
      CHECK(::waitpid(pid, &word, 0) == pid);
      CHECK(word == test::exited_with(4));
    }
  }
};

void never(const child_exit&) { FAIL_CHECK("told of the end of a child that was given up"); }

}  // namespace

TEST_CASE("a child released in its change callback is told of no more, and is ours to wait for") {
  test::stage stage;
  two_stopped children;
  int changes = 0;
  auto captured = std::make_shared<int>(0);
  std::weak_ptr<int> lives = captured;
  for (pid_t pid : children.pids) {
    auto release = [&, pid, captured](const child_change& change) {
      ++changes;
      CHECK(change.status.stopped());
      CHECK(stage.reaper.release(pid) == 0);
      CHECK(stage.reaper.release(pid) == UV_ESRCH);
      CHECK(*captured == 0);  // captures live until the callback has returned
    };
    REQUIRE(stage.reaper.watch(pid, {.on_change = release}, never) == 0);
  }
  captured.reset();
  children.stop_both();
  stage.run_until([&] { return changes == 2; });
  CHECK(lives.expired());
  CHECK(stage.reaper.stats().watched == 0);
  for (pid_t pid : children.pids) CHECK(::kill(pid, SIGCONT) == 0);
  stage.run_for(std::chrono::milliseconds(50));
  CHECK(changes == 2);
  children.collect_both();
  stage.run_for(std::chrono::milliseconds(50));
}

TEST_CASE("a child forgotten in its change callback is told of no more, and is reaped") {
  test::stage stage;
  two_stopped children;
  int changes = 0;
  for (pid_t pid : children.pids) {
    auto forget = [&, pid](const child_change&) {
      ++changes;
      CHECK(stage.reaper.detach(pid) == 0);
    };
    REQUIRE(stage.reaper.watch(pid, {.on_change = forget}, never) == 0);
  }
  children.stop_both();
  stage.run_until([&] { return changes == 2; });
  children.let_both_end();
  stage.run_until([&] { return stage.reaper.stats().reaped == 2; });
  CHECK(changes == 2);
}

TEST_CASE("a change that was found and not told yet is dropped when another callback gives the child up") {
  for (bool by_release : {true, false}) {
    CAPTURE(by_release);
    test::stage stage;
    two_stopped children;
    std::vector<pid_t> told;
    for (std::size_t i : {0u, 1u}) {
      pid_t other = children.pids[1 - i];
      auto give_up_other = [&, other, by_release](const child_change& change) {
        told.push_back(change.pid);
        CHECK((by_release ? stage.reaper.release(other) : stage.reaper.detach(other)) == 0);
      };
      REQUIRE(stage.reaper.watch(children.pids[i], {.on_change = give_up_other},
                                 [&](const child_exit& exit) { told.push_back(exit.pid); }) == 0);
    }
    children.stop_both();
    stage.run_until([&] { return !told.empty(); });
    stage.run_for(std::chrono::milliseconds(50));
    REQUIRE(told.size() == 1);
    pid_t kept = told[0];
    pid_t given_up = kept == children.pids[0] ? children.pids[1] : children.pids[0];
    // The continue of the one that is kept would give the other up a second time; so it is killed as it is.
    CHECK(::kill(kept, SIGKILL) == 0);
    CHECK(::kill(given_up, SIGKILL) == 0);
    stage.run_until([&] { return told.size() == 2; });
    CHECK(told[1] == kept);
    if (by_release) CHECK(::waitpid(given_up, nullptr, 0) == given_up);
    stage.run_until([&] { return test::children().empty(); });
    CHECK(told.size() == 2);
  }
}

TEST_CASE("a reaper closed or destroyed in a change callback tells nothing more") {
  for (bool by_close : {true, false}) {
    CAPTURE(by_close);
    test::stage stage;
    two_stopped children;
    int changes = 0;
    for (pid_t pid : children.pids) {
      auto end_it = [&, by_close](const child_change&) {
        ++changes;
        by_close ? static_cast<void>(stage.reaper.close()) : stage.destroy_reaper();
      };
      REQUIRE(stage.reaper.watch(pid, {.on_change = end_it}, never) == 0);
    }
    children.stop_both();
    stage.run_until([&] { return changes != 0; });
    children.collect_both();
    stage.run_for(std::chrono::milliseconds(50));
    CHECK(changes == 1);
  }
}

TEST_CASE("a child is watched once, also in its own change callback") {
  test::stage stage;
  two_stopped children;
  int changes = 0;
  int ends = 0;
  for (pid_t pid : children.pids) {
    auto watch_again = [&, pid](const child_change&) {
      ++changes;
      CHECK(stage.reaper.watch(pid, never) == UV_EEXIST);
    };
    REQUIRE(stage.reaper.watch(pid, {.on_change = watch_again}, [&](const child_exit&) { ++ends; }) == 0);
  }
  children.stop_both();
  stage.run_until([&] { return changes == 2; });
  children.let_both_end();
  stage.run_until([&] { return ends == 2; });
}

TEST_CASE("a watch that takes a forgotten child back hears of its changes") {
  auto options_of_reaper = test::options_of_this_run();
  if (!test::poller_alone())
    options_of_reaper.poll_every = std::chrono::milliseconds(0);  // which would find them, late
  test::stage stage(options_of_reaper);
  two_stopped children;
  int changes = 0;
  int ends = 0;
  for (pid_t pid : children.pids) {
    REQUIRE(stage.reaper.watch(pid, never) == 0);
    REQUIRE(stage.reaper.detach(pid) == 0);
    watch_options options{.on_change = [&](const child_change&) { ++changes; }};
    REQUIRE(stage.reaper.watch(pid, std::move(options), [&](const child_exit&) { ++ends; }) == 0);
  }
  children.stop_both();
  stage.run_until([&] { return changes == 2; });
  children.let_both_end();
  stage.run_until([&] { return ends == 2; });
}

TEST_CASE("a change callback may watch, fork and wait for other children") {
  test::stage stage;
  two_stopped children;
  int new_ones = 0;
  for (pid_t pid : children.pids) {
    auto make_another = [&](const child_change& change) {
      if (!change.status.stopped()) return;
      pid_t fresh = 0;
      CHECK(stage.reaper.fork(
                &fresh, [] { return 0; }, [&](const child_exit&) { ++new_ones; }) == 0);
      pid_t own = test::make_child_exiting(8);
      int word = -1;
      CHECK(::waitpid(own, &word, 0) == own);
      CHECK(word == test::exited_with(8));
    };
    REQUIRE(stage.reaper.watch(pid, {.on_change = make_another}, [](const child_exit&) {}) == 0);
  }
  children.stop_both();
  stage.run_until([&] { return new_ones == 2; });
  children.let_both_end();
  stage.run_until([&] { return test::children().empty(); });
}
