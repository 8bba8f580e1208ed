// The exit comes first, the watch later: nobody's signal is left to say it, and still it is told, and at
// once.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "support/loop_handle.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

std::uint64_t notices_heard(const uvreap::reaper& reaper) {
  auto stats = reaper.stats();
  return stats.wakeups_by_sigchld + stats.wakeups_by_backend;
}

pid_t ended_child(int code) {
  pid_t pid = test::make_child_exiting(code);
  test::wait_until_ended(pid);
  return pid;
}

// The poller must not come to the rescue within the times that are measured here.
uvreap::options without_a_quick_poller() {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(5000);
  return options;
}

// Where in a turn of the loop the watch is made.
enum class phase { before_the_run, timer, idle, prepare, check, close };

struct early_watch {
  std::chrono::nanoseconds delay{};  // from watch() to the callback
  int turns = 0;                     // that began in between
  int sleeps = 0;                    // polls in between that were allowed to sleep
  bool told = false;
  int code = -1;
};

// Watches an ended child in that phase, with a timer 500 ms away as the only other thing to wait for.
class early_watcher {
 public:
  explicit early_watcher(phase where)
      : stage_(without_a_quick_poller()), pid_(ended_child(5)), where_(where) {
    stage_.run_for(milliseconds(5));  // its SIGCHLD has come and gone
  }

  early_watch run() {
    auto far = test::after(stage_.loop, milliseconds(500), [] {});
    auto counter = test::on_prepare(stage_.loop, [this] {
      if (!watched_ || seen_.told) return;
      ++seen_.turns;
      note_a_sleep();
    });
    uv_unref(reinterpret_cast<uv_handle_t*>(counter.get()));
    arrange();
    while (!seen_.told) uv_run(&stage_.loop, test::pumped() ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    return seen_;
  }

 private:
  void arrange() {
    switch (where_) {
      case phase::before_the_run:
        watch();
        break;
      case phase::timer:
        timer_ = test::after(stage_.loop, milliseconds(1), [this] { watch(); });
        break;
      case phase::idle:
        idle_ = test::on_idle(stage_.loop, [this] { uv_idle_stop(idle_.get()), watch(); });
        break;
      case phase::prepare:
        prepare_ = test::on_prepare(stage_.loop, [this] { uv_prepare_stop(prepare_.get()), watch(); });
        break;
      case phase::check:  // a timer ends the poll that comes before it
        timer_ = test::after(stage_.loop, milliseconds(1), [] {});
        check_ = test::on_check(stage_.loop, [this] { uv_check_stop(check_.get()), watch(); });
        break;
      case phase::close:
        uv_idle_init(&stage_.loop, &closing_);
        closing_.data = this;
        uv_close(reinterpret_cast<uv_handle_t*>(&closing_),
                 [](uv_handle_t* handle) { static_cast<early_watcher*>(handle->data)->watch(); });
        break;
    }
  }

  void watch() {
    since_ = {};
    watched_ = true;
    REQUIRE(stage_.reaper.watch(pid_, [this](const child_exit& exit) {
      seen_.delay = since_.elapsed();
      seen_.told = true;
      seen_.code = exit.status.exit_code();
    }) == 0);
    note_a_sleep();
  }

  void note_a_sleep() {
    if (uv_backend_timeout(&stage_.loop) != 0) ++seen_.sleeps;
  }

  uv_idle_t closing_{};  // outlives the stage, which runs the loop once more
  test::stage stage_;
  test::loop_handle<uv_timer_t> timer_;
  test::loop_handle<uv_idle_t> idle_;
  test::loop_handle<uv_prepare_t> prepare_;
  test::loop_handle<uv_check_t> check_;
  pid_t pid_;
  phase where_;
  test::stopwatch since_;
  bool watched_ = false;
  early_watch seen_;
};

constexpr struct {
  phase where;
  const char* name;
} phases[] = {{phase::before_the_run, "before uv_run"},
              {phase::timer, "timer"},
              {phase::idle, "idle"},
              {phase::prepare, "prepare"},
              {phase::check, "check"},
              {phase::close, "close"}};

}  // namespace

TEST_CASE(
    "an ended child that is watched anywhere in a turn is told within 20 ms, the next event being 500 ms "
    "away") {
  for (const auto& one : phases) {
    CAPTURE(one.name);
    CHECK(test::one_of_three([where = one.where] {
      early_watch seen = early_watcher(where).run();
      CHECK(seen.code == 5);
      return seen.delay < milliseconds(20);
    }));
  }
}

TEST_CASE(
    "an ended child that is watched anywhere in a turn is told within three turns, of which none may sleep") {
  for (const auto& one : phases) {
    CAPTURE(one.name);
    early_watch seen = early_watcher(one.where).run();
    CHECK(seen.turns <= 3);
    CHECK(seen.sleeps == 0);
  }
}

TEST_CASE("children that ended long before they are watched are told without another notice") {
  test::stage stage(without_a_quick_poller());
  std::vector<pid_t> pids;
  for (int code = 0; code < 50; ++code) pids.push_back(ended_child(code));
  stage.run_for(milliseconds(50));
  auto before = notices_heard(stage.reaper);

  int told = 0;
  for (int code = 0; code < 50; ++code) {
    pid_t pid = pids[static_cast<std::size_t>(code)];
    REQUIRE(stage.reaper.watch(pid, [&, pid, code](const child_exit& exit) {
      ++told;
      CHECK(exit.pid == pid);
      CHECK(exit.status.raw() == test::exited_with(code));
      CHECK(exit.noticed_by == uvreap::notice::already);
    }) == 0);
  }
  CHECK(told == 0);  // never inside the call
  stage.run_until([&] { return told == 50; }, milliseconds(2000));
  if (!test::names_exits())
    CHECK(notices_heard(stage.reaper) == before);  // an backend names a zombie at once
  CHECK(stage.reaper.stats().wakeups_by_poller == 0);
}

TEST_CASE("a child that ends before the loop ever runs is told in the first run") {
  test::stage stage;
  test::gate gate;
  pid_t living = test::make_child([&] { return gate.wait(), 3; });
  std::vector<int> codes;
  auto told = [&](const child_exit& exit) { codes.push_back(exit.status.exit_code()); };
  REQUIRE(stage.reaper.watch(living, told) == 0);
  gate.open();
  test::wait_until_ended(living);
  REQUIRE(stage.reaper.watch(ended_child(4), told) == 0);
  CHECK(codes.empty());
  stage.run_dry();
  std::sort(codes.begin(), codes.end());
  CHECK(codes == std::vector<int>{3, 4});
}

TEST_CASE("children that ended before the reaper exists are told in its first run") {
  std::vector<pid_t> pids;
  for (int code = 10; code < 20; ++code) pids.push_back(ended_child(code));
  test::stage stage(without_a_quick_poller());
  std::vector<int> codes;
  for (pid_t pid : pids) {
    REQUIRE(stage.reaper.watch(
                pid, [&](const child_exit& exit) { codes.push_back(exit.status.exit_code()); }) == 0);
  }
  stage.run_dry();
  std::sort(codes.begin(), codes.end());
  CHECK(codes == std::vector<int>{10, 11, 12, 13, 14, 15, 16, 17, 18, 19});
}

TEST_CASE("a child that is forked now and watched several turns later is told, however it fell in between") {
  // It ends before the first of those turns, between two of them, or after the last.
  for (int ends_before_turn : {0, 3, 6}) {
    CAPTURE(ends_before_turn);
    test::stage stage;
    test::gate gate;
    pid_t pid = test::make_child([&] { return gate.wait(), 8; });
    for (int turn = 0; turn < 6; ++turn) {
      if (turn == ends_before_turn) gate.open(), test::wait_until_ended(pid);
      stage.turn();
    }
    std::vector<child_exit> told;
    REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
    if (ends_before_turn == 6) gate.open();
    stage.run_dry();
    REQUIRE(told.size() == 1);
    CHECK(told[0].status.raw() == test::exited_with(8));
  }
}

TEST_CASE("a storm of strangers' exits between fork and watch hides nothing and is left to its owners") {
  test::stage stage;
  test::gate gate;
  pid_t ours = test::make_child([&] { return gate.wait(), 77; });
  std::vector<pid_t> strangers;
  for (int i = 0; i < 200; ++i) {
    strangers.push_back(test::make_child_exiting(i));
    if (i == 100) gate.open(), test::wait_until_ended(ours);
    stage.turn();
  }
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(ours, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  stage.run_dry();
  REQUIRE(told.size() == 1);
  CHECK(told[0].status.raw() == test::exited_with(77));

  for (int i = 0; i < 200; ++i) {
    int word = -1;
    pid_t stranger = strangers[static_cast<std::size_t>(i)];
    REQUIRE(::waitpid(stranger, &word, 0) == stranger);
    CHECK(word == test::exited_with(i));
  }
}

TEST_CASE("hand-overs that are more than a turn takes are all taken, though nobody hands over another") {
  auto options = without_a_quick_poller();
  options.budget = 10;
  test::stage stage(options);
  int told = 0;
  std::thread maker([&] {
    for (int i = 0; i < 200; ++i) {
      stage.reaper.post_watch(ended_child(i), [&, i](const child_exit& exit) {
        ++told;
        CHECK(exit.status.raw() == test::exited_with(i));
      });
    }
  });
  maker.join();
  CHECK(told == 0);
  stage.run_until([&] { return told == 200; }, milliseconds(4000));
}

TEST_CASE("of 10 000 children that die while four threads hand them over, none is lost") {
  constexpr int threads = 4;
  constexpr int children_each = 2500;
  test::stage stage;
  int told = 0;
  int wrong = 0;
  int lost = 0;
  // The loop's thread must not get 10 000 zombies behind: then the test would measure the pid space.
  std::atomic<int> under_way{0};

  auto make_and_hand_over = [&] {
    for (int i = 0; i < children_each; ++i) {
      while (under_way.load() > 200) std::this_thread::yield();
      ++under_way;
      pid_t pid = test::make_child_exiting(i);
      stage.reaper.post_watch(pid, [&, pid, i](const child_exit& exit) {
        ++told;
        --under_way;
        if (exit.lost) ++lost;
        if (exit.pid != pid || exit.status.raw() != test::exited_with(i)) ++wrong;
      });
    }
  };
  std::vector<std::thread> makers;
  for (int i = 0; i < threads; ++i) makers.emplace_back(make_and_hand_over);
  // Minutes: a fork costs ten times as much under AddressSanitizer.
  bool all = stage.turn_until([&] { return told == threads * children_each; }, std::chrono::minutes(5));
  under_way = all ? 0 : -1000000;
  for (auto& maker : makers) maker.join();
  CHECK(told == threads * children_each);
  CHECK(lost == 0);
  CHECK(wrong == 0);
}
