// Stops and continues: told to who asked, in their order, and never taken for an end.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "support/stage.hpp"

using uvreap::child_change;
using uvreap::child_exit;
using uvreap::watch_options;

namespace {

constexpr int stopped = SIGSTOP << 8 | 0x7f;
constexpr int continued = 0xffff;

// The child has stopped or continued, and that is still there for the reaper to find.
void wait_until_it(int changed, pid_t pid) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, changed | WNOWAIT) != 0 && errno == EINTR) {
  }
}

void stop(pid_t pid) { CHECK(::kill(pid, SIGSTOP) == 0); }
void resume(pid_t pid) { CHECK(::kill(pid, SIGCONT) == 0); }

// What was told of one child, in the order of telling.
struct diary {
  std::vector<int> words;
  int ends = 0;

  uvreap::callback end() {
    return [this](const child_exit& exit) {
      CHECK_FALSE(exit.lost);
      words.push_back(exit.status.raw());
      ++ends;
    };
  }

  watch_options changes() {
    return {.on_change = [this](const child_change& change) { words.push_back(change.status.raw()); }};
  }

  [[nodiscard]] bool has(std::size_t count) const { return words.size() >= count; }
};

}  // namespace

TEST_CASE("a stop and a continue are no end, and nobody is told who did not ask") {
  test::stage stage;
  test::gate gate;
  diary told;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(pid, told.end()) == 0);
  for (auto [signum, changed] : {std::pair{SIGSTOP, WSTOPPED}, {SIGCONT, WCONTINUED}}) {
    auto before = stage.reaper.stats();
    CHECK(::kill(pid, signum) == 0);
    wait_until_it(changed, pid);
    stage.run_for(std::chrono::milliseconds(100));
    CHECK(told.words.empty());
    auto after = stage.reaper.stats();
    // It was heard of, and looked at unless an backend would have named the child had it ended.
    bool always_heard = test::options_of_this_run().sigchld == uvreap::sigchld_use::always;
    if (always_heard) CHECK(after.wakeups_by_sigchld > before.wakeups_by_sigchld);
    if (before.on_backend == 0) CHECK(after.sweeps > before.sweeps);
  }
  gate.open();
  stage.run_until([&] { return told.has(1); });
  CHECK(told.words == std::vector{test::exited_with(3)});
}

TEST_CASE("stops and continues are told in their order, and the end comes last") {
  test::stage stage;
  test::gate gate;
  diary told;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  auto options = told.changes();
  options.on_change = [pid, note = options.on_change](const child_change& change) {
    CHECK(change.pid == pid);
    note(change);
  };
  REQUIRE(stage.reaper.watch(pid, std::move(options), told.end()) == 0);
  std::size_t steps = 0;
  for (int signum : {SIGSTOP, SIGCONT, SIGSTOP, SIGKILL}) {
    CHECK(::kill(pid, signum) == 0);
    ++steps;
    stage.run_until([&] { return told.has(steps); });
  }
  stage.run_for(std::chrono::milliseconds(50));
  CHECK(told.words == std::vector{stopped, continued, stopped, test::killed_by(SIGKILL)});
  CHECK(told.ends == 1);
}

TEST_CASE("a child killed while it is stopped ends once, by that signal") {
  test::stage stage;
  test::gate gate;
  diary who_asked;
  diary who_did_not;
  diary who_kills;
  pid_t first = test::make_child([&] { return gate.wait(), 3; });
  pid_t second = test::make_child([&] { return gate.wait(), 3; });
  pid_t third = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(first, who_asked.changes(), who_asked.end()) == 0);
  REQUIRE(stage.reaper.watch(second, who_did_not.end()) == 0);
  auto kill_at_stop = who_kills.changes();
  kill_at_stop.on_change = [&, note = kill_at_stop.on_change](const child_change& change) {
    note(change);
    CHECK(stage.reaper.kill(third, SIGKILL) == 0);
  };
  REQUIRE(stage.reaper.watch(third, std::move(kill_at_stop), who_kills.end()) == 0);

  for (pid_t pid : {first, second, third}) stop(pid);
  wait_until_it(WSTOPPED, second);
  stage.run_until([&] { return who_asked.has(1) && who_kills.has(2); });
  for (pid_t pid : {first, second}) CHECK(stage.reaper.kill(pid, SIGKILL) == 0);
  stage.run_until([&] { return who_asked.ends == 1 && who_did_not.ends == 1; });
  stage.run_for(std::chrono::milliseconds(50));
  CHECK(who_asked.words == std::vector{stopped, test::killed_by(SIGKILL)});
  CHECK(who_did_not.words == std::vector{test::killed_by(SIGKILL)});
  CHECK(who_kills.words == std::vector{stopped, test::killed_by(SIGKILL)});
}

TEST_CASE("a child that stops itself before its exec is told once, when it ends") {
  test::stage stage;
  diary told;
  diary told_changes;
  std::array<pid_t, 2> pids{};
  for (pid_t& pid : pids) {
    pid = test::make_child([] {
      ::raise(SIGSTOP);
      ::execl("/bin/sh", "sh", "-c", "exit 1", nullptr);
      return 127;
    });
  }
  wait_until_it(WSTOPPED, pids[0]);
  wait_until_it(WSTOPPED, pids[1]);
  REQUIRE(stage.reaper.watch(pids[0], told.end()) == 0);
  REQUIRE(stage.reaper.watch(pids[1], told_changes.changes(), told_changes.end()) == 0);
  // It stopped before it was watched; the kernel still knows, and the next look finds it.
  stage.run_until([&] { return told_changes.has(1); });
  CHECK(told.words.empty());
  resume(pids[1]);
  stage.run_until([&] { return told_changes.ends == 1; });
  resume(pids[0]);
  stage.run_until([&] { return told.ends == 1; });
  CHECK(told.words == std::vector{test::exited_with(1)});
  CHECK(told_changes.words.front() == stopped);
  CHECK(told_changes.words.back() == test::exited_with(1));
  CHECK(told_changes.words.size() <= 3);  // between them the continue, if a look came before the exit
}

TEST_CASE("of a stop that was continued before anybody looked, only the continue is told") {
  test::stage stage;
  test::gate gate;
  diary told;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(pid, told.changes(), told.end()) == 0);
  stop(pid);
  wait_until_it(WSTOPPED, pid);
  resume(pid);
  wait_until_it(WCONTINUED, pid);
  stage.run_until([&] { return told.has(1); });
  gate.open();
  stage.run_until([&] { return told.ends == 1; });
  CHECK(told.words == std::vector{continued, test::exited_with(3)});
}

TEST_CASE("ten thousand stops and continues of a hundred children end nobody") {
  constexpr int count = 100;
  constexpr int rounds = 100;
  test::stage stage;
  test::gate gate;
  std::vector<diary> told(count);
  std::vector<pid_t> pids;
  for (int i = 0; i < count; ++i) {
    auto slot = static_cast<std::size_t>(i);
    pids.push_back(test::make_child([&gate, i] { return gate.wait(), i; }));
    auto options = i % 2 == 0 ? told[slot].changes() : watch_options{};
    REQUIRE(stage.reaper.watch(pids.back(), std::move(options), told[slot].end()) == 0);
  }
  for (int round = 0; round < rounds; ++round) {
    // Each waits until it has come to that: a SIGCONT that is sent at once only takes the SIGSTOP away.
    for (pid_t pid : pids) ::kill(pid, SIGSTOP);
    for (pid_t pid : pids) wait_until_it(WSTOPPED, pid);
    stage.turn();
    for (pid_t pid : pids) ::kill(pid, SIGCONT);
    for (pid_t pid : pids) wait_until_it(WCONTINUED, pid);
    stage.turn();
  }
  stage.run_for(std::chrono::milliseconds(100));
  auto quiet = stage.reaper.stats();
  CHECK(quiet.watched == count);
  CHECK(quiet.reaped + quiet.lost == 0);
  stage.run_for(std::chrono::milliseconds(100));
  CHECK(stage.reaper.stats().sweeps - quiet.sweeps < 50);  // a look that spins would make thousands

  gate.open(count);
  stage.run_until([&] { return std::ranges::all_of(told, [](const diary& of) { return of.ends == 1; }); });
  std::size_t changes = 0;
  for (int i = 0; i < count; ++i) {
    const auto& words = told[static_cast<std::size_t>(i)].words;
    CHECK(words.back() == test::exited_with(i));
    CHECK(std::all_of(words.begin(), words.end() - 1,
                      [](int word) { return word == stopped || word == continued; }));
    if (i % 2 == 1) CHECK(words.size() == 1);
    changes += words.size() - 1;
  }
  CHECK(changes >= count / 2);  // the last continue of each that asked, at the least
}
