// Forked copies in odd moments: made while threads post, made of a program whose reaper is closed, destroyed
// with coroutines that wait, and workers that never touch the loop.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <coroutine>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "support/apart.hpp"
#include "support/bare_loop.hpp"
#include "support/own_new.hpp"
#include "support/reap_one.hpp"
#include "support/sanitizers.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

// Every block has its size before it. While freed memory is kept, it is cleared and nobody may write to it.
struct head {
  std::size_t size;
  head* next;
};
std::atomic<long> alive{0};
bool is_freed_memory_kept = false;
head* kept = nullptr;
std::mutex of_kept;

}  // namespace

void* test::allocate(std::size_t size) {
  auto* block = static_cast<head*>(std::malloc(sizeof(head) + size));
  if (block == nullptr) throw std::bad_alloc();
  *block = {.size = size, .next = nullptr};
  ++alive;
  return block + 1;
}

void test::deallocate(void* memory) noexcept {
  if (memory == nullptr) return;
  --alive;
  head* block = static_cast<head*>(memory) - 1;
  if (!is_freed_memory_kept) return std::free(block);
  std::lock_guard lock(of_kept);
  std::memset(memory, 0, block->size);
  block->next = kept;
  kept = block;
}

namespace {

// How many freed blocks were written to.
int end_of_keeping() {
  is_freed_memory_kept = false;
  int written = 0;
  while (kept != nullptr) {
    head* block = std::exchange(kept, kept->next);
    auto* bytes = reinterpret_cast<unsigned char*>(block + 1);
    bool is_clear = true;
    for (std::size_t i = 0; i < block->size; ++i) is_clear = is_clear && bytes[i] == 0;
    if (!is_clear) ++written;
    std::free(block);
  }
  return written;
}

struct task {
  struct promise_type {
    task get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
};

}  // namespace

TEST_CASE("start() in a copy of a closed reaper returns, whatever threads were posting at the fork") {
  if (test::sanitized) {  // by gcc 12 the allocator's locks are copied as they are: it waits for ever
    MESSAGE("SKIP: threads allocate at the fork");
    return;
  }
  for (bool is_closed : {true, false}) {
    CAPTURE(is_closed);
    test::bare_loop on;
    uvreap::reaper reaper(on.loop, test::options_of_this_run());
    REQUIRE(reaper.start() == 0);
    std::atomic<bool> over{false};
    auto queued = std::make_shared<int>();  // held by each that waits: a copy pays for their memory
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&, queued] {
        while (!over) {
          if (queued.use_count() < 1'000) reaper.post_watch(1, [queued](const child_exit&) {});
        }
      });
    }
    for (int times = 0; times < 15; ++times) {
      CAPTURE(times);
      for (int turns = 0; turns < 3; ++turns) uv_run(&on.loop, UV_RUN_NOWAIT);
      if (is_closed) REQUIRE(reaper.close() == 0);
      auto end = test::apart([&] {
        ::alarm(20);
        HOLDS(uv_loop_fork(&on.loop) == 0);
        HOLDS((is_closed ? reaper.start() : reaper.after_fork()) == 0);
        reaper.post_watch(1, [](const child_exit&) {});
        return test::reap_one(on.loop, reaper);
      });
      CHECK_MESSAGE(end.word == 0, end.said);
      if (is_closed) REQUIRE(reaper.start() == 0);
    }
    over = true;
    for (auto& one : threads) one.join();
    REQUIRE(reaper.close() == 0);
  }
}

TEST_CASE("a copy that destroys its reaper resumes no coroutine of the parent's, and the parent's goes on") {
  for (bool begins_afresh : {false, true}) {
    CAPTURE(begins_afresh);
    test::stage stage;
    int resumed = 0;
    uvreap::exit_result result;
    auto wait = [&](pid_t pid) -> task {
      auto [error, exit] = co_await stage.reaper.exit_of(pid);
      ++resumed;
      result = {error, exit};
    };
    test::gate gate;
    pid_t pid = test::make_child([&] { return gate.wait(), 9; });
    wait(pid);
    stage.turn();
    auto end = test::apart([&] {
      if (begins_afresh) {
        HOLDS(uv_loop_fork(&stage.loop) == 0);
        HOLDS(stage.reaper.after_fork() == 0);
      }
      HOLDS(resumed == 0);
      stage.destroy_reaper();
      HOLDS(resumed == 0);
      return 0;
    });
    CHECK_MESSAGE(end.word == 0, end.said);
    CHECK(resumed == 0);
    gate.open();
    stage.run_until([&] { return resumed == 1; });
    CHECK(result.error == 0);
    CHECK(result.exit.status.raw() == test::exited_with(9));
  }
}

TEST_CASE(
    "a plain worker that never touches the loop may get SIGCHLD after the parent has closed its reaper") {
  test::bare_loop on;
  std::vector<std::unique_ptr<uvreap::reaper>> reapers;
  for (int i = 0; i < 3; ++i) {
    reapers.push_back(std::make_unique<uvreap::reaper>(on.loop, test::options_of_this_run()));
    REQUIRE(reapers.back()->start() == 0);
  }
  test::gate gate;
  // With the parent's SIGCHLD handler and a copy of libuv's tables, which name the parent's handles.
  pid_t worker = ::fork();
  REQUIRE(worker >= 0);
  if (worker == 0) {
    gate.wait();
    for (int i = 0; i < 50; ++i) {
      if (pid_t pid = ::fork(); pid == 0) ::_exit(0);
      ::raise(SIGCHLD);
    }
    ::_exit(0);
  }
  is_freed_memory_kept = true;
  for (auto& one : reapers) REQUIRE(one->close() == 0);
  reapers.clear();
  uv_run(&on.loop, UV_RUN_DEFAULT);
  gate.open();
  REQUIRE(::waitpid(worker, nullptr, 0) == worker);
  for (int turns = 0; turns < 20; ++turns) uv_run(&on.loop, UV_RUN_NOWAIT);
  // And beside a reaper that came later.
  uvreap::reaper later(on.loop, test::options_of_this_run());
  REQUIRE(later.start() == 0);
  for (int turns = 0; turns < 5; ++turns) uv_run(&on.loop, UV_RUN_NOWAIT);
  CHECK(test::reap_one(on.loop, later) == 0);
  REQUIRE(later.close() == 0);
  uv_run(&on.loop, UV_RUN_DEFAULT);
  CHECK(end_of_keeping() == 0);
}

TEST_CASE("the heap is flat over ten thousand reapers on one loop") {
  test::bare_loop on;
  int rounds = test::forks_are_slow() ? 1000 : 10'000;
  auto start_and_close = [&](int count) {
    for (int i = 0; i < count; ++i) {
      uvreap::reaper reaper(on.loop, test::options_of_this_run());
      REQUIRE(reaper.start() == 0);
      if (i % 2 == 0) REQUIRE(reaper.close() == 0);
      if (i % 3 == 0) uv_run(&on.loop, UV_RUN_NOWAIT);
    }
    uv_run(&on.loop, UV_RUN_DEFAULT);
  };
  start_and_close(50);
  long before = alive;
  start_and_close(rounds);
  CHECK(alive - before <= 4);
}

TEST_CASE("one reaper that is closed and started again ten thousand times keeps the heap flat, too") {
  test::bare_loop on;
  int rounds = test::forks_are_slow() ? 1000 : 10'000;
  uvreap::reaper reaper(on.loop, test::options_of_this_run());
  auto start_and_close = [&](int count) {
    for (int i = 0; i < count; ++i) {
      REQUIRE(reaper.start() == 0);
      REQUIRE(reaper.close() == 0);
      if (i % 3 == 0) uv_run(&on.loop, UV_RUN_NOWAIT);
    }
    uv_run(&on.loop, UV_RUN_DEFAULT);
  };
  start_and_close(50);
  long before = alive;
  start_and_close(rounds);
  CHECK(alive - before <= 4);
}
