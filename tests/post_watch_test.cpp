// Children handed over by other threads.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "support/sanitizers.hpp"
#include "support/stage.hpp"
#include "uvreap/process.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

const int children_a_thread = test::forks_are_slow() ? 300 : 2500;

// Keeps the loop running while only hand-overs are on their way, which do not hold it.
void run_until_told(test::stage& stage, const std::atomic<int>& told, int count) {
  stage.run_until([&] { return told >= count; }, std::chrono::seconds(120));
}

}  // namespace

TEST_CASE("four threads hand over 10 000 children, and each is told once, on the loop's thread") {
  test::stage stage;
  auto here = std::this_thread::get_id();
  std::atomic<int> told{0};
  std::atomic<int> wrong{0};
  std::vector<std::atomic<int>> times(4 * static_cast<std::size_t>(children_a_thread));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < children_a_thread; ++i) {
        int number = thread * children_a_thread + i;
        pid_t pid = 0;
        if (uvreap::fork(&pid) != 0) ++wrong;
        if (pid == 0) ::_exit(number & 0x7f);
        stage.reaper.post_watch(pid, [&, number](const child_exit& exit) {
          bool good =
              exit.status.raw() == test::exited_with(number & 0x7f) && std::this_thread::get_id() == here;
          if (!good) ++wrong;
          ++times[static_cast<std::size_t>(number)];
          ++told;
        });
      }
    });
  }
  run_until_told(stage, told, 4 * children_a_thread);
  for (auto& thread : threads) thread.join();
  stage.run_for(milliseconds(30));
  CHECK(wrong == 0);
  int not_once = 0;
  for (const auto& count : times) not_once += count == 1 ? 0 : 1;
  CHECK(not_once == 0);
  CHECK(stage.reaper.stats().lost == 0);
}

TEST_CASE("four threads hand over 100 000 pids, mostly nobody's, and none is lost on the way") {
  constexpr int a_thread = 25'000;
  constexpr int one_child_in = 250;  // the others are numbers that cannot be watched, told as lost
  test::stage stage;
  std::vector<int> times(4UL * a_thread);
  std::vector<int> last_lost(4, -1);
  int told = 0;
  int wrong = 0;
  std::atomic<int> not_made{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < a_thread; ++i) {
        bool is_child = i % one_child_in == 0;
        pid_t pid = i % 2 == 0 ? -1 : ::getpid();
        if (is_child && uvreap::fork(&pid) != 0) ++not_made;
        if (pid == 0) ::_exit(i & 0x7f);
        stage.reaper.post_watch(pid, [&, thread, i, pid, is_child](const child_exit& exit) {
          ++told;
          ++times[static_cast<std::size_t>(thread) * a_thread + static_cast<std::size_t>(i)];
          if (exit.pid != pid || exit.lost == is_child) ++wrong;
          if (is_child && exit.status.raw() != test::exited_with(i & 0x7f)) ++wrong;
          if (is_child) return;
          int& before = last_lost[static_cast<std::size_t>(thread)];
          if (i <= before) ++wrong;  // those of one thread come in their order
          before = i;
        });
      }
    });
  }
  stage.run_until([&] { return told >= 4 * a_thread; }, std::chrono::seconds(120));
  for (auto& thread : threads) thread.join();
  stage.run_for(milliseconds(30));
  CHECK(not_made == 0);
  CHECK(wrong == 0);
  CHECK(told == 4 * a_thread);
  CHECK(times == std::vector<int>(4UL * a_thread, 1));
  CHECK(stage.reaper.stats().reaped == 4 * a_thread / one_child_in);
  CHECK(stage.reaper.stats().lost == 4 * a_thread - 4 * a_thread / one_child_in);
}

TEST_CASE("a pid that cannot be watched is delivered with its error, in the order of its hand-over") {
  test::stage stage;
  test::gate gate;
  pid_t watched = test::make_child([&] { return gate.wait(), 2; });
  std::atomic<int> told{0};
  std::vector<child_exit> lost;
  REQUIRE(stage.reaper.watch(watched, [&](const child_exit&) { ++told; }) == 0);
  std::vector<pid_t> pids{::getpid(), 0, -1, watched, std::numeric_limits<pid_t>::max()};
  std::thread([&] {
    for (pid_t pid : pids) {
      stage.reaper.post_watch(pid, [&](const child_exit& exit) { lost.push_back(exit); });
    }
  }).join();
  stage.run_until([&] { return lost.size() == pids.size(); });
  for (std::size_t i = 0; i < pids.size(); ++i) {
    CHECK(lost[i].pid == pids[i]);
    CHECK(lost[i].lost == (pids[i] != watched));
    CHECK(lost[i].error == (pids[i] == watched ? UV_EEXIST : pids[i] <= 0 ? UV_EINVAL : UV_ESRCH));
    CHECK_FALSE(lost[i].status);
  }
  CHECK(told == 0);
  gate.open();
  stage.run_until([&] { return told == 1; });  // the watch that was there is unharmed
}

TEST_CASE(
    "a hand-over of a child that is collected and undelivered says that it is watched, not that it is lost") {
  test::stage stage;
  int hold = -1;
  uvreap::command command{.argv = {"sh", "-c", "exec 3<&0; cat <&3 & exit 4"}};  // cat has the output open
  command.input = uvreap::stdio::pipe(&hold);
  command.output = uvreap::stdio::captured(100);
  command.drain = std::chrono::hours(1);
  pid_t pid = 0;
  std::vector<child_exit> told;
  auto tell = [&](const child_exit& exit) { told.push_back(exit); };
  REQUIRE(stage.reaper.spawn(&pid, command, tell) == 0);
  stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
  stage.reaper.post_watch(pid, tell);
  stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].error == UV_EEXIST);
  CHECK_FALSE(told[0].lost);
  CHECK(stage.reaper.stats().lost == 0);
  ::close(hold);
  stage.run_until([&] { return told.size() == 2; });
  CHECK(told[1].status.raw() == test::exited_with(4));
  stage.run_for(milliseconds(30));
  CHECK(told.size() == 2);
}

TEST_CASE("a hand-over from the loop's own thread, and from inside a callback, is told too") {
  test::stage stage;
  int told = 0;
  pid_t first = test::make_child_exiting(1);
  pid_t second = test::make_child_exiting(2);
  stage.reaper.post_watch(first, [&](const child_exit&) {
    ++told;
    stage.reaper.post_watch(second, [&](const child_exit& exit) { told += exit.status.exit_code(); });
  });
  CHECK(told == 0);
  stage.run_until([&] { return told == 3; });
}

TEST_CASE("a hand-over with an empty callback reserves the child") {
  test::stage stage;
  int told = 0;
  pid_t pid = test::make_child_exiting(3);
  stage.reaper.post_watch(pid, {});
  stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told = exit.status.exit_code(); }) == 0);
  stage.run_until([&] { return told == 3; });
}

TEST_CASE("a hand-over before start and after close is dropped, and its callback destroyed") {
  test::stage stage;
  auto token = std::make_shared<int>(0);
  auto tell = [token](const child_exit&) { FAIL_CHECK("told"); };
  REQUIRE(stage.reaper.close() == 0);
  stage.reaper.post_watch(::getpid(), tell);
  uvreap::reaper unstarted(stage.loop, test::options_of_this_run());
  unstarted.post_watch(::getpid(), tell);
  CHECK(token.use_count() == 2);  // here and in tell
  REQUIRE(stage.reaper.start() == 0);
  stage.run_for(milliseconds(30));
}

TEST_CASE("hand-overs that come while the reaper closes are told before it, or dropped") {
  for (int times = 0; times < 50; ++times) {
    test::stage stage;
    auto token = std::make_shared<int>(0);
    std::atomic<bool> closed{false};
    std::atomic<int> posted{0};
    std::atomic<int> told_late{0};
    std::atomic<bool> over{false};
    std::thread poster([&] {
      while (!over) {
        stage.reaper.post_watch(-1, [&, token](const child_exit&) { told_late += closed ? 1 : 0; });
        ++posted;
      }
    });
    while (posted < 20) stage.turn();
    REQUIRE(stage.reaper.close() == 0);
    closed = true;
    for (int more = posted + 20; posted < more;) stage.turn();
    over = true;
    poster.join();
    stage.run_for(milliseconds(2));
    CHECK(told_late == 0);
    CHECK(token.use_count() == 1);
  }
}

TEST_CASE(
    "a capture that closes the reaper as its watch is replaced by a hand-over ends the hand-overs after it") {
  test::stage stage;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 0; });
  int told = 0;
  std::shared_ptr<void> closes_at_its_end(nullptr, [&](void*) { CHECK(stage.reaper.close() == 0); });
  uvreap::watch_options options{.on_change = [held = std::move(closes_at_its_end)](const auto&) {}};
  REQUIRE(stage.reaper.watch(pid, std::move(options), uvreap::callback{}) == 0);
  stage.reaper.post_watch(pid, [&](const child_exit&) { ++told; });  // takes the reserved child back
  stage.reaper.post_watch(-1, [&](const child_exit&) { ++told; });
  stage.run_for(milliseconds(30));
  CHECK(stage.reaper.release(pid) == UV_EINVAL);  // it is closed
  CHECK(told == 0);
  gate.open();
  CHECK(::waitpid(pid, nullptr, 0) == pid);  // released, and ours to wait for
}
