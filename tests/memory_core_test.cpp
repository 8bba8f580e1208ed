// No memory, where an exception would end the program or break libuv: in start(), in after_fork(), and under
// uv_walk, which has moved the loop's handles to a queue of its own while it calls.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "support/apart.hpp"
#include "support/children.hpp"
#include "support/own_new.hpp"
#include "support/reap_one.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

// Each from the first to the last that fails.
struct failures {
  int first = 0;  // 0: none
  int last = 0;
  int count = 0;
} fail;

}  // namespace

void* test::allocate(std::size_t size) {
  if (fail.first != 0 && ++fail.count >= fail.first && fail.count <= fail.last) throw std::bad_alloc();
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void test::deallocate(void* memory) noexcept { std::free(memory); }

namespace {

constexpr int to_the_end = 1 << 30;
constexpr int nothing_failed = 7;  // an exit code: the call made fewer allocations than that

// True: there was one to fail.
template <class Call>
bool with_failures(int first, int last, Call call) {
  fail = {.first = first, .last = last};
  call();
  return std::exchange(fail, {}).count >= first;
}

// Runs the body, apart, for every k until it says nothing_failed; the number of those that had something to
// fail.
int for_every_allocation(const std::function<int(int k)>& body, int most = 200) {
  for (int k = 1; k < most; ++k) {
    auto end = test::apart([&] { return body(k); });
    if (end.word == test::exited_with(nothing_failed)) return k - 1;
    CAPTURE(k);
    CHECK_MESSAGE(end.word == 0, end.said);
    if (end.word != 0) return k;
  }
  FAIL("there is no end of allocations");
  return most;
}

// Too large for std::function to keep it in itself: so a copy of the options takes memory.
uvreap::options with_a_large_callback() {
  auto options = test::options_of_this_run();
  options.children = uvreap::scope::any();
  options.on_unclaimed = [large = std::array<char, 777>{}](const child_exit&) { (void)large; };
  return options;
}

int end(uv_loop_t& loop, uvreap::reaper* reaper) {
  delete reaper;
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(uv_loop_close(&loop) == 0);
  return 0;
}

int count_handles(uv_loop_t& loop) {
  int count = 0;
  uv_walk(
      &loop, [](uv_handle_t*, void* counter) { ++*static_cast<int*>(counter); }, &count);
  return count;
}

}  // namespace

TEST_CASE("start() without memory answers UV_ENOMEM, with nothing half made, and works later") {
  for (int length : {0, to_the_end}) {
    CAPTURE(length);
    int tried = for_every_allocation([&](int k) {
      uv_loop_t loop;
      HOLDS(uv_loop_init(&loop) == 0);
      int handles = count_handles(loop);
      auto* reaper = new uvreap::reaper(loop, with_a_large_callback());
      int error = -1;
      bool failed = with_failures(k, k + length, [&] { error = reaper->start(); });
      if (error != 0) {
        HOLDS(error == UV_ENOMEM);
        HOLDS(failed);
        HOLDS(reaper->watch(1, [](const child_exit&) {}) == UV_EINVAL);
        uv_run(&loop, UV_RUN_DEFAULT);
        HOLDS(count_handles(loop) == handles);
        HOLDS(reaper->start() == 0);
      }
      if (int wrong = test::reap_one(loop, *reaper); wrong != 0) return wrong;
      if (int wrong = end(loop, reaper); wrong != 0) return wrong;
      return failed ? 0 : nothing_failed;
    });
    CHECK(tried > 5);
  }
}

TEST_CASE("after_fork() without memory answers UV_ENOMEM, changes nothing, and can be tried again") {
  for (int length : {0, to_the_end}) {
    CAPTURE(length);
    uv_loop_t loop;
    REQUIRE(uv_loop_init(&loop) == 0);
    auto* reaper = new uvreap::reaper(loop, with_a_large_callback());
    REQUIRE(reaper->start() == 0);
    test::gate gate;
    int told = 0;
    auto token = std::make_shared<int>(0);
    pid_t parents = test::make_child([&] { return gate.wait(), 3; });
    REQUIRE(reaper->watch(parents, [&told, token](const child_exit&) { ++told; }) == 0);
    uv_run(&loop, UV_RUN_NOWAIT);

    int tried = for_every_allocation([&](int k) {
      HOLDS(uv_loop_fork(&loop) == 0);
      int error = -1;
      bool failed = with_failures(k, k + length, [&] { error = reaper->after_fork(); });
      if (error != 0) {
        HOLDS(error == UV_ENOMEM);
        HOLDS(failed);
        HOLDS(reaper->watch(1, [](const child_exit&) {}) == UV_EPERM);
        HOLDS(reaper->stats() == uvreap::statistics{});
        HOLDS(token.use_count() == 2);
        HOLDS(reaper->after_fork() == 0);
      }
      HOLDS(token.use_count() == 1);
      HOLDS(reaper->after_fork() == UV_EINVAL);
      if (int wrong = test::reap_one(loop, *reaper); wrong != 0) return wrong;
      HOLDS(told == 0);
      if (int wrong = end(loop, reaper); wrong != 0) return wrong;
      return failed ? 0 : nothing_failed;
    });
    CHECK(tried > 5);

    CHECK(told == 0);
    gate.open();
    while (told == 0) uv_run(&loop, UV_RUN_ONCE);
    CHECK(end(loop, reaper) == 0);
  }
}

TEST_CASE(
    "uv_walk loses no handle, whichever allocation of an any() reaper fails, and each child is delivered") {
  for (int length : {0, 3, to_the_end}) {
    CAPTURE(length);
    int tried = for_every_allocation(
        [&](int k) {
          uv_loop_t loop;
          HOLDS(uv_loop_init(&loop) == 0);
          std::vector<uv_timer_t> timers(20);
          for (std::size_t i = 0; i < 10; ++i) uv_timer_init(&loop, &timers[i]);
          std::array<uv_process_t, 3> processes{};
          char name[] = "sleep";
          char time[] = "600";
          char* arguments[] = {name, time, nullptr};
          uv_process_options_t of_process{};
          of_process.file = name;
          of_process.args = arguments;
          of_process.exit_cb = [](uv_process_t*, std::int64_t, int) {};

          auto options = test::options_of_this_run();
          options.children = uvreap::scope::any();
          options.unclaimed_grace = milliseconds(10);
          options.poll_every = milliseconds(20);
          std::vector<pid_t> unclaimed;
          unclaimed.reserve(20);
          options.on_unclaimed = [&](const child_exit& exit) { unclaimed.push_back(exit.pid); };
          auto* reaper = new uvreap::reaper(loop, options);
          HOLDS(reaper->start() == 0);
          for (auto& one : processes) HOLDS(uv_spawn(&loop, &one, &of_process) == 0);
          for (std::size_t i = 10; i < 20; ++i) uv_timer_init(&loop, &timers[i]);
          for (int i = 0; i < 6; ++i) test::wait_until_ended(test::make_child_exiting(1));
          int handles = count_handles(loop);

          // It begins with the first look at those zombies, and is over before they are all taken or when
          // they are.
          test::stopwatch since;
          bool failed = with_failures(k, length == to_the_end ? to_the_end : k + length, [&] {
            while (since.elapsed() < milliseconds(70) && unclaimed.size() < 6) {
              uv_run(&loop, UV_RUN_NOWAIT);
              ::usleep(1000);
            }
          });
          HOLDS(count_handles(loop) == handles);
          while (unclaimed.size() < 6) uv_run(&loop, UV_RUN_ONCE);
          HOLDS(unclaimed.size() == 6);
          HOLDS(count_handles(loop) == handles);
          for (auto& one : processes) {
            HOLDS(uv_process_kill(&one, SIGKILL) == 0);
            uv_close(reinterpret_cast<uv_handle_t*>(&one), nullptr);
          }
          for (auto& one : timers) uv_close(reinterpret_cast<uv_handle_t*>(&one), nullptr);
          if (int wrong = end(loop, reaper); wrong != 0) return wrong;
          return failed ? 0 : nothing_failed;
        },
        60);
    CHECK(tried >= 0);
  }
}
