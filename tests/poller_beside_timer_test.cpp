// The idle poller beside a program's own timer of the same period, which watches a child each time: neither
// puts the other off. (Since libuv 1.48 a due timer is inactive until its callback, and one that is started
// again then waits anew.)
#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "support/loop_handle.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

constexpr auto period = milliseconds(50);
constexpr int ticks = 20;

// What was delivered after so many ticks, all but the last of whose children have ended before the next tick.
int delivered_after(int wanted, bool keeps_others) {
  auto options = test::options_of_this_run();
  options.backend = uvreap::backend_kind::peek;
  options.sigchld = uvreap::sigchld_use::never;
  options.poll_every = period;
  test::stage stage(options);
  int told = 0;
  int seen = 0;
  test::gate gate;
  std::vector<pid_t> pids;
  auto tell = [&](const child_exit& exit) { told += exit.status.exit_code() == 3 ? 1 : 0; };
  auto tick = [&] {
    if (static_cast<int>(pids.size()) == wanted) return;
    if (!pids.empty()) {
      gate.open();
      if (!keeps_others) test::wait_until_ended(pids.back());
    }
    pids.push_back(test::make_child([&] { return gate.wait(), 3; }));
    REQUIRE(stage.reaper.watch(pids.back(), {.ref = keeps_others}, tell) == 0);
    if (static_cast<int>(pids.size()) == wanted) seen = told;
  };
  {
    auto timer = test::make_handle<uv_timer_t>(stage.loop, uv_timer_init, tick);
    uv_timer_start(timer.get(), test::handle_with_call<uv_timer_t>::run, period.count(), period.count());
    while (static_cast<int>(pids.size()) < wanted) uv_run(&stage.loop, UV_RUN_ONCE);
    gate.open();
  }
  stage.run_until([&] { return told == wanted; });
  return seen;
}

}  // namespace

TEST_CASE("children that a timer of the poller's period watches are found by it while the timer runs") {
  CHECK(delivered_after(ticks, false) >= ticks - 4);
}

TEST_CASE("the same where each holds the loop, and ends a little later") {
  CHECK(delivered_after(ticks, true) >= ticks - 5);
}
