// Several threads, each with a loop and a reaper of its own; several reapers on one loop; a loop that moves.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "support/loop_handle.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

// A loop with a reaper of one thread. Its checks are counted, since doctest's are not for every thread.
class own_loop {
 public:
  explicit own_loop(const uvreap::options& options = test::options_of_this_run()) {
    failures += uv_loop_init(&loop) != 0;
    reaper = std::make_unique<uvreap::reaper>(loop, options);
    failures += reaper->start() != 0;
  }
  ~own_loop() {
    reaper.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    failures += uv_loop_close(&loop) != 0;
  }
  own_loop(const own_loop&) = delete;
  own_loop& operator=(const own_loop&) = delete;

  static inline std::atomic<int> failures{0};
  uv_loop_t loop{};
  std::unique_ptr<uvreap::reaper> reaper;
};

// Forks so many, and runs until each is told, here and truly. The number of those that were told.
int reap_children(own_loop& own, int count) {
  auto here = std::this_thread::get_id();
  std::map<pid_t, int> expected;
  int told = 0;
  for (int i = 0; i < count; ++i) {
    auto tell = [&](const child_exit& exit) {
      auto found = expected.find(exit.pid);
      bool good = std::this_thread::get_id() == here && found != expected.end() &&
                  exit.status.raw() == test::exited_with(found->second);
      own_loop::failures += good ? 0 : 1;
      if (found != expected.end()) expected.erase(found);
      ++told;
    };
    pid_t pid = 0;
    own_loop::failures += own.reaper->fork(
                              &pid, [i] { return i & 0x7f; }, tell) != 0;
    expected[pid] = i & 0x7f;
    if (i % 16 == 0) uv_run(&own.loop, UV_RUN_NOWAIT);
  }
  uv_run(&own.loop, UV_RUN_DEFAULT);
  own_loop::failures += expected.empty() ? 0 : 1;
  return told;
}

// Gated children that nobody but the backend names, and what was told of them.
class named_children {
 public:
  explicit named_children(std::unique_ptr<own_loop>& own) : own_(own) {}

  static uvreap::options options() {
    auto only_by_index = test::options_of_this_run();
    only_by_index.sigchld = uvreap::sigchld_use::never;
    only_by_index.poll_every = std::chrono::hours(1);
    return only_by_index;
  }

  void watch_some(int count) {
    for (int i = 0; i < count; ++i) {
      pids_.push_back(test::make_child([this] { return gate_.wait(), 5; }));
      auto tell = [this](const child_exit& exit) {
        told_ += exit.noticed_by == uvreap::notice::backend && exit.status.exit_code() == 5 ? 1 : 0;
      };
      own_loop::failures += own_->reaper->watch(pids_.back(), tell) != 0;
    }
  }
  void release_some(int count) {
    for (; count > 0; --count, pids_.pop_back()) {
      own_loop::failures += own_->reaper->release(pids_.back()) != 0;
      released_.push_back(pids_.back());
    }
  }

  void end(int count) { gate_.open(count); }
  void wait_for_the_released() {
    for (pid_t pid : released_) own_loop::failures += ::waitpid(pid, nullptr, 0) != pid;
  }
  [[nodiscard]] int told() const { return told_; }

 private:
  std::unique_ptr<own_loop>& own_;
  test::gate gate_;
  std::vector<pid_t> pids_;
  std::vector<pid_t> released_;
  std::atomic<int> told_{0};
};

// Turns until so many are told, or it takes too long.
void run_until_told(own_loop& own, const named_children& children, int count) {
  bool too_late = false;
  auto in_vain = test::after(own.loop, std::chrono::seconds(60), [&] { too_late = true; });
  while (children.told() < count && !too_late) uv_run(&own.loop, UV_RUN_ONCE);
}

void nothing_is_left() {
  CHECK(own_loop::failures.exchange(0) == 0);
  CHECK(test::children().empty());
}

}  // namespace

TEST_CASE("four threads reap 500 children each, and each is told on the thread that watches it") {
  std::atomic<int> told{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      own_loop own;
      told += reap_children(own, 500);
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(told == 2000);
  nothing_is_left();
}

TEST_CASE("several reapers on one loop tell each its own children") {
  test::stage stage;
  std::vector<std::unique_ptr<uvreap::reaper>> others;
  int told[4] = {};
  for (int which = 0; which < 4; ++which) {
    if (which != 0) {
      others.push_back(std::make_unique<uvreap::reaper>(stage.loop, test::options_of_this_run()));
      REQUIRE(others.back()->start() == 0);
    }
    uvreap::reaper& reaper = which == 0 ? stage.reaper : *others.back();
    for (int i = 0; i < 50; ++i) {
      auto tell = [&told, which](const child_exit& exit) {
        told[which] += exit.status.raw() == test::exited_with(which) ? 1 : 1000;
      };
      pid_t pid = 0;
      REQUIRE(reaper.fork(
                  &pid, [which] { return which; }, tell) == 0);
    }
  }
  stage.run_until([&] { return std::all_of(told, told + 4, [](int count) { return count == 50; }); });
  others.erase(others.begin());  // one goes, the others go on
  pid_t pid = 0;
  REQUIRE(others.back()->fork(
              &pid, [] { return 3; }, [&](const child_exit&) { ++told[3]; }) == 0);
  stage.run_until([&] { return told[3] == 51; });
}

TEST_CASE("loops and reapers come and go on two threads while two others reap") {
  std::atomic<bool> over{false};
  std::atomic<int> told{0};
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!over) {
        own_loop own;
        told += reap_children(own, 1) - 1;
        ++made;
      }
    });
  }
  std::vector<std::thread> reaping;
  for (int i = 0; i < 2; ++i) {
    reaping.emplace_back([&] {
      own_loop own;
      told += reap_children(own, 400);
    });
  }
  for (auto& thread : reaping) thread.join();
  over = true;
  for (auto& thread : threads) thread.join();
  CHECK(told == 800);
  CHECK(made > 0);
  nothing_is_left();
}

TEST_CASE("a loop may run on another thread later: the callbacks come there, and calls from there are good") {
  own_loop own;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 5; });
  int told = 0;
  std::thread::id told_on;
  auto tell = [&](const child_exit& exit) {
    told_on = std::this_thread::get_id();
    told += exit.status.exit_code();
    pid_t next = 0;
    auto last = [&](const child_exit&) { ++told; };
    own_loop::failures += own.reaper->fork(
                              &next, [] { return 0; }, last) != 0;
  };
  REQUIRE(own.reaper->watch(pid, tell) == 0);
  std::thread::id runner;
  std::thread([&] {
    runner = std::this_thread::get_id();
    gate.open();
    uv_run(&own.loop, UV_RUN_DEFAULT);
  }).join();
  CHECK(told == 6);
  CHECK(told_on == runner);
  nothing_is_left();
}

// A ring obeys the thread that made it, or at least its requests end with that one.
TEST_CASE("the backend goes with the loop: children that were armed on one thread are named on another") {
  if (!test::names_exits()) return;
  for (bool first_thread_ends : {false, true}) {
    for (bool looks_first : {false, true}) {
      CAPTURE(first_thread_ends);
      CAPTURE(looks_first);
      std::unique_ptr<own_loop> own;
      named_children children(own);
      auto begin = [&] {
        own = std::make_unique<own_loop>(named_children::options());
        children.watch_some(60);
        uv_run(&own->loop, UV_RUN_NOWAIT);
      };
      first_thread_ends ? std::thread(begin).join() : begin();
      int expected = looks_first ? 80 : 60;
      std::thread([&] {
        bool follows = false;  // a callback of the reaper's has run here
        own->reaper->post_watch(::getppid(), [&](const child_exit&) { follows = true; });
        while (!follows) uv_run(&own->loop, UV_RUN_NOWAIT);
        if (looks_first) {
          children.end(20);
          run_until_told(*own, children, 20);
        } else {
          children.release_some(20);  // more than the ring takes at once
        }
        children.watch_some(20);
        children.end(looks_first ? 60 : 80);
        run_until_told(*own, children, expected);
      }).join();
      CHECK(children.told() == expected);
      children.wait_for_the_released();
      CHECK(own->reaper->stats().on_peek == 0);
      own.reset();
      nothing_is_left();
    }
  }
}

TEST_CASE("a loop that changes its thread with each turn is told by the backend, too") {
  if (!test::names_exits()) return;
  auto own = std::make_unique<own_loop>(named_children::options());
  named_children children(own);
  children.watch_some(100);
  children.end(100);
  std::atomic<int> turns{0};
  auto too_late = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  auto turn_about = [&](int whose) {
    for (; children.told() < 100 && std::chrono::steady_clock::now() < too_late; std::this_thread::yield()) {
      if (turns % 2 != whose) continue;
      uv_run(&own->loop, UV_RUN_NOWAIT);
      ++turns;
    }
  };
  std::thread other([&] { turn_about(1); });
  turn_about(0);
  other.join();
  CHECK(children.told() == 100);
  own.reset();
  nothing_is_left();
}

// The kernel drops a thread's number a little after pthread_join has returned, so this is done many times.
TEST_CASE("when the loop's thread has been joined, the next call from another thread is good") {
  for (int times = 0; times < 500; ++times) {
    own_loop own;
    int told = 0;
    std::thread([&] {
      auto holds_the_loop = test::after(own.loop, std::chrono::minutes(1), [] {});  // a hand-over does not
      pid_t pid = test::make_child_exiting(0);
      test::wait_until_ended(pid);
      own.reaper->post_watch(pid, [&](const child_exit&) { ++told; });
      while (told == 0) uv_run(&own.loop, UV_RUN_ONCE);  // its first turn binds the reaper to this thread
    }).join();
    (void)own.reaper->stats();  // what is not good aborts
  }
  nothing_is_left();
}
