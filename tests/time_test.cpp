// A loop that is late, and a loop that has nothing to do: no storm of ticks after the one, no wake-up in the
// other.
#include <doctest/doctest.h>

#include <algorithm>

#include "support/crowd.hpp"
#include "support/loop_handle.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;

namespace {

std::uint64_t in_ms(std::chrono::nanoseconds time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(time).count());
}

// Counts turns, and those of them whose poll may sleep: a wake-up is a sleep that ended.
struct turn_counter {
  int turns = 0;
  int sleeps = 0;
  int longest_sleep_ms = 0;
  test::loop_handle<uv_prepare_t> handle;

  explicit turn_counter(uv_loop_t& loop) {
    handle = test::on_prepare(loop, [this, &loop] {
      ++turns;
      int timeout = uv_backend_timeout(&loop);
      if (timeout != 0) ++sleeps;
      longest_sleep_ms = std::max(longest_sleep_ms, timeout);
    });
  }
};

// A reaper that its poller alone tells of exits, and a child that lives on, so that the poller does not begin
// anew.
uvreap::options by_the_poller(milliseconds poll_every) {
  auto options = test::options_of_this_run();
  options.backend = uvreap::backend_kind::peek;
  options.sigchld = uvreap::sigchld_use::never;
  options.poll_every = poll_every;
  return options;
}

// How long it takes until it is told that so many children ended, each ending when the one before it was
// told. The loop waits until it has, or a look on a busy machine would find nothing.
std::chrono::nanoseconds one_after_another(test::stage& stage, int count) {
  test::crowd children(stage, count);
  children.on_told = [&] {
    if (!children.complete()) children.end_one();
  };
  test::stopwatch since;
  children.end_one();
  stage.run_until([&] { return children.complete(); });
  return since.elapsed();
}

}  // namespace

TEST_CASE(
    "100 children that end while a callback holds the loop for a second are told after it, without a storm") {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(20);  // fifty ticks would fit in
  test::stage stage(options);
  test::crowd children(stage, 100);
  test::stopwatch since_held;
  bool held = false;
  std::uint64_t ticks_before = 0;
  auto holder = test::after(stage.loop, milliseconds(10), [&] {
    test::stopwatch time;
    children.end();
    while (time.elapsed() < std::chrono::seconds(1)) uv_sleep(5);
    CHECK(children.told() == 0);
    ticks_before = stage.reaper.stats().wakeups_by_poller;
    since_held = {};
    held = true;
  });
  stage.run_until([&] { return held && children.complete(); });
  auto ticks = stage.reaper.stats().wakeups_by_poller - ticks_before;
  // One at once, and from then on one a rest, which is never shorter than 10 ms.
  CHECK(ticks <= 2 + in_ms(since_held.elapsed()) / 10);
  children.check_each_told_once();
}

TEST_CASE("a reaper that watches nothing causes no turn of the loop") {
  for (bool after_some_work : {false, true}) {
    CAPTURE(after_some_work);
    auto options = test::options_of_this_run();
    options.poll_every = milliseconds(20);  // a poller that went on would tick fifteen times
    test::stage stage(options);
    if (after_some_work) (void)one_after_another(stage, 3);
    if (after_some_work) stage.run_for(milliseconds(30));
    auto before = stage.reaper.stats();
    turn_counter count(stage.loop);
    stage.run_for(milliseconds(300));
    CHECK(stage.reaper.stats() == before);         // no pass, no tick
    if (!test::pumped()) CHECK(count.turns <= 4);  // the deadline's own: libuv rounds to milliseconds
  }
}

TEST_CASE("a reaper that watches 100 idle children wakes the loop at most once a poll interval") {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(50);
  test::stage stage(options);
  test::crowd children(stage, 100);
  stage.run_for(milliseconds(60));
  auto ticks_before = stage.reaper.stats().wakeups_by_poller;
  turn_counter count(stage.loop);
  test::stopwatch since;
  stage.run_for(milliseconds(500));
  auto intervals = in_ms(since.elapsed()) / 50 + 1;
  auto ticks = stage.reaper.stats().wakeups_by_poller - ticks_before;
  CHECK(ticks <= intervals);
  CHECK(ticks >= 1);  // it does look
  if (!test::pumped()) CHECK(static_cast<std::uint64_t>(count.sleeps) <= intervals + 4);
  children.end();
  children.check_each_told_once();
}

TEST_CASE("the poller rests for less and less while it finds something, and recovers when it finds nothing") {
  test::stage stage(by_the_poller(milliseconds(320)));
  test::crowd lives_on(stage, 1);
  // At its longest rest twelve finds would take 3.8 s; halved each time, down to 20 ms, about 0.8 s.
  CHECK(test::one_of_three([&] { return one_after_another(stage, 12) < milliseconds(2000); }));
  // Still short: three long ones would be 960 ms.
  CHECK(test::one_of_three([&] { return one_after_another(stage, 3) < milliseconds(600); }));

  turn_counter count(stage.loop);
  stage.run_for(milliseconds(1500));  // 40, 80, 160, 320
  CHECK(count.longest_sleep_ms > 160);
  CHECK(count.longest_sleep_ms <= 320);
  lives_on.end();
  lives_on.check_each_told_once();
}
