// A deadline is never lost: whatever is short at its moment, memory or descriptors, and whatever is under way
// for the child already, it ends the child and the exit says so.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <new>
#include <vector>

#include "support/descriptors_left.hpp"
#include "support/message.hpp"
#include "support/own_new.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using std::chrono::minutes;
using uvreap::child_exit;

namespace {

bool there_is_memory = true;
int refused = 0;

}  // namespace

void* test::allocate(std::size_t size) {
  if (!there_is_memory && ++refused != 0) throw std::bad_alloc();
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void test::deallocate(void* memory) noexcept { std::free(memory); }

namespace {

// A child that no SIGTERM ends, and what was delivered of it.
struct stubborn {
  pid_t pid = 0;
  std::vector<child_exit> told;

  stubborn(test::stage& stage, uvreap::watch_options options) {
    test::message ready;
    pid = test::make_child([&] {
      ::signal(SIGTERM, SIG_IGN);
      ready.say();
      for (;;) ::pause();
      return 0;
    });
    ready.wait();
    told.reserve(2);
    REQUIRE(stage.reaper.watch(pid, std::move(options),
                               [this](const child_exit& exit) { told.push_back(exit); }) == 0);
  }
  [[nodiscard]] bool is_delivered() const { return !told.empty(); }
  void check_timed_out() const {
    REQUIRE(told.size() == 1);
    CHECK(told[0].timed_out);
    CHECK_FALSE(told[0].lost);
    CHECK(told[0].status.term_signal() == SIGKILL);
  }
};

// Turns that take no memory for themselves.
void turn_for(test::stage& stage, milliseconds time) {
  test::stopwatch since;
  while (since.elapsed() < time) {
    uv_run(&stage.loop, UV_RUN_NOWAIT);
    ::usleep(500);
  }
}

}  // namespace

TEST_CASE(
    "negative control: a child with a deadline in five minutes lives, and is not marked when it is killed") {
  test::stage stage;
  stubborn child(stage, {.timeout = minutes(5), .grace = milliseconds(0)});
  turn_for(stage, milliseconds(50));
  CHECK_FALSE(child.is_delivered());
  REQUIRE(stage.reaper.kill(child.pid, SIGKILL) == 0);
  stage.run_until([&] { return child.is_delivered(); });
  CHECK_FALSE(child.told[0].timed_out);
}

TEST_CASE("a deadline whose moment has no memory comes when there is memory") {
  test::stage stage;
  stubborn child(stage, {.timeout = milliseconds(20), .grace = milliseconds(20)});
  refused = 0;
  there_is_memory = false;
  turn_for(stage, milliseconds(100));
  there_is_memory = true;
  if (refused != 0) CHECK_FALSE(child.is_delivered());
  stage.run_until([&] { return child.is_delivered(); }, std::chrono::seconds(20));
  child.check_timed_out();
}

TEST_CASE("a hundred deadlines whose moment has no memory all come when there is memory") {
  test::stage stage;
  int timed_out = 0;
  test::gate gate;
  for (int i = 0; i < 100; ++i) {
    pid_t pid = test::make_child([&] { return gate.wait(), 0; });
    auto tell = [&](const child_exit& exit) { timed_out += exit.timed_out ? 1 : 0; };
    REQUIRE(stage.reaper.watch(pid, {.timeout = milliseconds(1), .grace = milliseconds(0)}, tell) == 0);
  }
  there_is_memory = false;
  turn_for(stage, milliseconds(50));
  there_is_memory = true;
  stage.run_until([&] { return timed_out == 100; }, std::chrono::seconds(20));
}

TEST_CASE("a deadline whose moment has no descriptor comes all the same") {
  test::stage stage;
  stubborn child(stage, {.timeout = milliseconds(20), .grace = milliseconds(20)});
  {
    test::descriptors_left none(0);
    turn_for(stage, milliseconds(100));
  }
  stage.run_until([&] { return child.is_delivered(); }, std::chrono::seconds(20));
  child.check_timed_out();
}

TEST_CASE("a deadline shortens a termination with a longer grace that is under way, and the exit is marked") {
  test::stage stage;
  test::stopwatch since;
  stubborn child(stage, {.timeout = milliseconds(50), .grace = milliseconds(50)});
  REQUIRE(stage.reaper.terminate(child.pid, minutes(5)) == 0);
  stage.run_until([&] { return child.is_delivered(); }, std::chrono::seconds(20));
  CHECK(since.elapsed() >= milliseconds(100));
  child.check_timed_out();
}

TEST_CASE("a deadline with a longer grace does not put off a termination that is under way") {
  test::stage stage;
  stubborn child(stage, {.timeout = milliseconds(10), .grace = minutes(5)});
  REQUIRE(stage.reaper.terminate(child.pid, milliseconds(100)) == 0);
  stage.run_until([&] { return child.is_delivered(); }, std::chrono::seconds(20));
  child.check_timed_out();
}

TEST_CASE("a second terminate() answers UV_EALREADY, before and after a deadline, and shortens nothing") {
  test::stage stage;
  stubborn child(stage, {.timeout = milliseconds(30), .grace = minutes(5)});
  REQUIRE(stage.reaper.terminate(child.pid, minutes(10)) == 0);
  CHECK(stage.reaper.terminate(child.pid, milliseconds(0)) == UV_EALREADY);
  turn_for(stage, milliseconds(60));
  CHECK(stage.reaper.terminate(child.pid, milliseconds(0)) == UV_EALREADY);
  turn_for(stage, milliseconds(30));
  CHECK_FALSE(child.is_delivered());
  REQUIRE(stage.reaper.kill(child.pid, SIGKILL) == 0);
  stage.run_until([&] { return child.is_delivered(); });
  child.check_timed_out();
}

TEST_CASE("a child that has ended before its deadline is seen to is not marked, however late that is") {
  test::stage stage;
  std::vector<child_exit> told;
  pid_t pid = test::make_child_exiting(4);
  REQUIRE(stage.reaper.watch(pid, {.timeout = milliseconds(1), .grace = milliseconds(0)},
                             [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  test::wait_until_ended(pid);
  ::usleep(5000);
  stage.run_until([&] { return !told.empty(); });
  CHECK_FALSE(told[0].timed_out);
  CHECK(told[0].status.raw() == test::exited_with(4));
}
