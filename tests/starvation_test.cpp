// No source of work waits for another to run dry: elders, orphans and others come between those of a storm,
// and what is due at one moment is spread over turns.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "support/orphans.hpp"
#include "support/own_process.hpp"
#include "support/own_syscall.hpp"
#include "support/sanitizers.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using std::chrono::minutes;
using uvreap::child_exit;

namespace {
int sigterms = 0;  // sent by this process, by pidfd or by number
}  // namespace

bool test::on_syscall(long number, const syscall_words& words, long*) noexcept {
  if (number == SYS_pidfd_send_signal && words[1] == SIGTERM) ++sigterms;
  return false;
}

extern "C" int kill(pid_t pid, int signum) noexcept {
  static auto original = reinterpret_cast<int (*)(pid_t, int)>(::dlsym(RTLD_NEXT, "kill"));
  if (signum == SIGTERM) ++sigterms;
  return original(pid, signum);
}

namespace {

int storm_size() { return test::forks_are_slow() ? 600 : 1500; }

uvreap::options with_budget(int budget) {
  auto options = test::options_of_this_run();
  options.budget = budget;
  return options;
}

// Children that ended before watch().
class storm {
 public:
  explicit storm(int size) {
    for (int i = 0; i < size; ++i) pids_.push_back(test::make_child_exiting(0));
    for (pid_t pid : pids_) test::wait_until_ended(pid);
  }
  void watch(uvreap::reaper& reaper) {
    for (pid_t pid : pids_) REQUIRE(reaper.watch(pid, [this](const child_exit&) { ++told_; }) == 0);
  }
  [[nodiscard]] int told() const { return told_; }
  [[nodiscard]] int size() const { return static_cast<int>(pids_.size()); }
  [[nodiscard]] bool is_over() const { return told_ == size(); }

 private:
  std::vector<pid_t> pids_;
  int told_ = 0;
};

class elders {
 public:
  explicit elders(uvreap::reaper& reaper, int size) {
    for (int i = 0; i < size; ++i) {
      pids_.push_back(test::make_child([this] { return gate_.wait(), 3; }));
      REQUIRE(reaper.watch(pids_.back(), [this](const child_exit&) { ++told_; }) == 0);
    }
  }
  void end() {
    gate_.open(static_cast<int>(pids_.size()));
    for (pid_t pid : pids_) test::wait_until_ended(pid);
  }
  [[nodiscard]] bool are_told() const { return told_ == static_cast<int>(pids_.size()); }

 private:
  test::gate gate_;
  std::vector<pid_t> pids_;
  int told_ = 0;
};

}  // namespace

TEST_CASE("elders do not wait for thousands that had ended before their watch") {
  for (int budget : {1, 64}) {
    CAPTURE(budget);
    test::stage stage(with_budget(budget));
    elders elders(stage.reaper, 20);
    stage.turn();
    storm storm(storm_size());
    storm.watch(stage.reaper);
    elders.end();
    int turns = 0;
    while (!elders.are_told() && turns < 100'000) stage.turn(), ++turns;
    CHECK(storm.told() < storm.size() / 2);
    CHECK(turns < 2 * storm.size() / budget);
    CHECK(turns <= 600 / budget + 20);
    stage.run_until([&] { return storm.is_over(); }, minutes(3));
  }
}

TEST_CASE("orphans do not wait for thousands that had ended before their watch") {
  for (int budget : {1, 64}) {
    CAPTURE(budget);
    auto scene = [budget] {
      std::vector<child_exit> told;
      auto options = test::any_options(milliseconds(0), &told);
      options.budget = budget;
      test::stage stage(options);
      test::orphans orphans(5, std::chrono::microseconds(0));
      orphans.make();
      stage.run_for(milliseconds(20));
      storm storm(storm_size());
      storm.watch(stage.reaper);
      orphans.let_end();
      orphans.wait_until_all_ended();
      stage.run_until([&] { return told.size() == 5; });
      // A sanitized look takes so long that the rounds over the orphans' list are apart by most of the storm.
      if (!test::sanitized) CHECK(storm.told() < storm.size() * 3 / 4);
      orphans.check(told);
      stage.run_until([&] { return storm.is_over(); }, minutes(3));
    };
    if (!test::apart(test::place::subreaper, scene)) MESSAGE("SKIP: no subreaper here");
  }
}

TEST_CASE("a storm that callbacks keep up for ever holds up no elder") {
  test::stage stage(with_budget(1));
  elders elders(stage.reaper, 5);
  stage.turn();
  constexpr int at_once = 50;
  int made = 0;
  int told = 0;
  std::function<void()> one_more = [&] {
    pid_t pid = test::make_child_exiting(0);
    test::wait_until_ended(pid);
    ++made;
    REQUIRE(stage.reaper.watch(pid, [&](const child_exit&) {
      ++told;
      if (!elders.are_told() && made < 3000) one_more();
    }) == 0);
  };
  for (int i = 0; i < at_once; ++i) one_more();
  elders.end();
  stage.run_until([&] { return elders.are_told(); }, minutes(3));
  CHECK(made < 1000);
  stage.run_until([&] { return told == made; });
}

TEST_CASE(
    "a thousand deadlines that are due at once are spread over turns, and another child comes between") {
  for (int budget : {1, 64}) {
    CAPTURE(budget);
    int crowd = test::forks_are_slow() ? 200 : 1000;
    test::stage stage(with_budget(budget));
    test::gate gate;
    int timed_out = 0;
    std::vector<pid_t> pids;
    for (int i = 0; i < crowd; ++i) pids.push_back(test::make_child([&] { return gate.wait(), 0; }));
    elders other(stage.reaper, 1);
    stage.turn();
    for (pid_t pid : pids) {
      auto tell = [&](const child_exit& exit) { timed_out += exit.timed_out ? 1 : 0; };
      REQUIRE(stage.reaper.watch(pid, {.timeout = milliseconds(1), .grace = minutes(5)}, tell) == 0);
    }
    ::usleep(5000);  // all are due
    other.end();
    sigterms = 0;
    int most = 0;
    int turns = 0;
    int turns_of_other = -1;
    while (sigterms < crowd && turns < 200'000) {
      int before = sigterms;
      stage.turn();
      ++turns;
      most = std::max(most, sigterms - before);
      if (other.are_told() && turns_of_other < 0) turns_of_other = turns;
    }
    CHECK(sigterms == crowd);
    CHECK(most <= std::max(budget, 8));
    if (test::names_exits()) {  // a peek shows zombies in the order of their birth: there it comes after the
                                // crowd
      CHECK(turns_of_other >= 0);
      CHECK(turns_of_other <= 2 + 300 / budget);
    }
    stage.run_until([&] { return timed_out == crowd; }, minutes(3));
  }
}

TEST_CASE("a thousand terminations whose grace is over at once are spread over turns, too") {
  constexpr int budget = 16;
  int crowd = test::forks_are_slow() ? 200 : 1000;
  test::stage stage(with_budget(budget));
  test::gate gate;
  int told = 0;
  std::vector<pid_t> pids;
  for (int i = 0; i < crowd; ++i)
    pids.push_back(test::make_child([&] {
      ::signal(SIGTERM, SIG_IGN);
      return gate.wait(), 0;
    }));
  for (pid_t pid : pids) {
    REQUIRE(stage.reaper.watch(pid, [&](const child_exit&) { ++told; }) == 0);
    REQUIRE(stage.reaper.terminate(pid, milliseconds(5)) == 0);
  }
  ::usleep(10'000);
  auto before = stage.reaper.stats();
  stage.run_until([&] { return told == crowd; }, minutes(3));
  CHECK(stage.reaper.stats().sweeps - before.sweeps >= static_cast<std::uint64_t>(crowd / budget));
}
