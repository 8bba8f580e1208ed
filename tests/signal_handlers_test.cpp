// SIGCHLD belongs to the whole process: other handlers, other uv_signal_t, other threads' system calls.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "support/bare_loop.hpp"
#include "support/crowd.hpp"
#include "support/loop_handle.hpp"
#include "support/sanitizers.hpp"
#include "support/signal_state.hpp"

using std::chrono::milliseconds;
using uvreap::sigchld_health;
using uvreap::sigchld_use;

namespace {

std::atomic<int> calls_of_the_programs_handler{0};
void programs_handler(int) { ++calls_of_the_programs_handler; }

void end_one_child(test::stage& stage) {
  test::crowd one(stage, 1);
  one.end();
  one.check_each_told_once();
}

}  // namespace

TEST_CASE("a handler that was there before start is replaced, and neither chained nor put back") {
  test::sigchld_action programs(programs_handler);
  calls_of_the_programs_handler = 0;
  test::stage stage(test::heard_by_signal(milliseconds(0)));
  CHECK_FALSE(test::sigchld_action::is(programs_handler));
  end_one_child(stage);
  CHECK(calls_of_the_programs_handler == 0);
  stage.destroy_reaper();
  stage.turn();
  CHECK(test::sigchld_action::is(SIG_DFL));
}

TEST_CASE(
    "a handler that was there before start is left alone, and called, by a reaper that never uses SIGCHLD") {
  test::sigchld_action programs(programs_handler);
  calls_of_the_programs_handler = 0;
  test::stage stage(test::heard_by_signal(milliseconds(20), sigchld_use::never));
  CHECK(test::sigchld_action::is(programs_handler));
  end_one_child(stage);
  CHECK(calls_of_the_programs_handler == 1);
  CHECK(test::sigchld_action::is(programs_handler));
  stage.destroy_reaper();
  stage.turn();
  CHECK(test::sigchld_action::is(programs_handler));
}

TEST_CASE("a handler that came after start stays, and the poller finds what it hides") {
  test::stage stage(test::heard_by_signal(milliseconds(50)));
  {
    test::sigchld_action programs(programs_handler);
    calls_of_the_programs_handler = 0;
    test::crowd children(stage, 5);
    for (int i = 0; i < 5; ++i) {
      children.let_one_go();
      stage.run_until([&] { return children.told() == i + 1; });
    }
    children.check_each_told_once();
    CHECK(children.by_poller() == 5);
    CHECK(calls_of_the_programs_handler > 0);
    CHECK(test::sigchld_action::is(programs_handler));
    CHECK(stage.reaper.stats().sigchld == sigchld_health::unheard);
    CHECK(stage.reaper.stats().missed == 5);
  }
  end_one_child(stage);
}

TEST_CASE("when needed, SIGCHLD is registered with the first child that is watched, and kept from then on") {
  test::sigchld_action by_default(SIG_DFL);
  test::stage stage(test::heard_by_signal(milliseconds(0), sigchld_use::when_needed));
  CHECK(test::sigchld_action::is(SIG_DFL));
  stage.run_for(milliseconds(20));
  CHECK(test::sigchld_action::is(SIG_DFL));
  end_one_child(stage);  // there is no poller: the signal told it
  CHECK_FALSE(test::sigchld_action::is(SIG_DFL));
}

TEST_CASE(
    "the program's own uv_signal_t on the same loop and on another hear too, and stopping them leaves ours") {
  test::bare_loop other;
  int heard_before_us = 0;
  int heard_beside_us = 0;
  int heard_once = 0;
  {
    auto first = test::on_signal(other.loop, SIGCHLD, [&] { ++heard_before_us; });
    test::stage stage(test::heard_by_signal(milliseconds(0)));
    auto second = test::on_signal(stage.loop, SIGCHLD, [&] { ++heard_beside_us; });
    auto third = test::make_handle<uv_signal_t>(stage.loop, uv_signal_init, [&] { ++heard_once; });
    auto run = [](uv_signal_t* heard, int) { test::handle_with_call<uv_signal_t>::run(heard); };
    REQUIRE(uv_signal_start_oneshot(third.get(), run, SIGCHLD) == 0);

    end_one_child(stage);
    end_one_child(stage);
    uv_run(&other.loop, UV_RUN_NOWAIT);
    CHECK(heard_before_us == 2);
    CHECK(heard_beside_us == 2);
    CHECK(heard_once == 1);

    uv_signal_stop(first.get());
    uv_signal_stop(second.get());
    end_one_child(stage);
    CHECK(heard_before_us == 2);
    CHECK(heard_beside_us == 2);
  }
}

TEST_CASE("a reaper that goes leaves the program's own uv_signal_t its signal") {
  test::bare_loop other;
  int heard = 0;
  auto theirs = test::on_signal(other.loop, SIGCHLD, [&] { ++heard; });
  {
    test::stage stage(test::heard_by_signal(milliseconds(0)));
    end_one_child(stage);
  }
  uv_run(&other.loop, UV_RUN_NOWAIT);
  CHECK(heard == 1);
  ::raise(SIGCHLD);
  uv_run(&other.loop, UV_RUN_NOWAIT);
  CHECK(heard == 2);
}

// TSan delivers signals by itself, and to a thread that is in a blocking call it does so too late.
TEST_CASE("a blocking read in the thread that gets every SIGCHLD never sees EINTR" *
          doctest::skip(test::under_tsan)) {
  test::stage stage(test::heard_by_signal(milliseconds(0)));
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  std::atomic<bool> reading{false};
  ssize_t result = -1;
  int error = 0;
  std::thread reader([&] {  // made before the signal is blocked here, so it is the only one that can get it
    char byte = 0;
    reading = true;
    result = ::read(ends[0], &byte, 1);
    error = errno;
  });
  {
    test::sigchld_blocked guard;
    while (!reading) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) {
      test::crowd one(stage, 1);
      one.end();
      stage.run_until([&] { return one.complete(); });
    }
  }
  CHECK(stage.reaper.stats().wakeups_by_sigchld >= 100);
  REQUIRE(::write(ends[1], "x", 1) == 1);
  reader.join();
  CHECK_MESSAGE(result == 1, "errno ", error);
  ::close(ends[0]);
  ::close(ends[1]);
}
