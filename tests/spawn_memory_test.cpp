// No memory while a command is spawned: the k-th allocation fails, for every k that there is. Then there is
// no child and nothing is written, or there is one and it is watched.
#include <doctest/doctest.h>

#include <cstdlib>
#include <new>
#include <utility>

#include "support/commands.hpp"

using uvreap::child_exit;
using uvreap::command;
using uvreap::stdio;

namespace {

thread_local int until_failure = 0;  // 0: none fails

}  // namespace

// Not inlined, or the compiler sees a pair of new and free and warns.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (until_failure > 0 && --until_failure == 0) throw std::bad_alloc();
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept try {
  return operator new(size);
} catch (const std::bad_alloc&) {
  return nullptr;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("without memory spawn_async() has either queued the command, or kept nothing of it") {
  test::stage stage;
  int to_child = test::untouched;
  command cat{.argv = {"cat", "-"}, .cwd = "/", .input = stdio::pipe(&to_child)};
  cat.env.set.emplace("A_NAME_TOO_LONG_TO_BE_KEPT_IN_A_STRING", "1");
  cat.capture(1000);
  int started = 0;
  int ended = 0;
  int refused = 0;
  for (bool all_tried = false; !all_tried;) {
    auto on_start = [&started](int error, pid_t) { started += error == 0 ? 1 : 100; };
    auto on_end = [&ended](const child_exit&) { ++ended; };
    int descriptors = test::open_descriptors();
    until_failure = refused + 1;
    int error = stage.reaper.spawn_async(cat, {}, on_start, on_end);
    all_tried = std::exchange(until_failure, 0) != 0;
    CHECK((error == 0) == all_tried);
    if (all_tried) break;
    CHECK(error == UV_ENOMEM);
    ++refused;
    // libuv opens /dev/null for itself with the first stream of a loop.
    CHECK(test::open_descriptors() <= descriptors + 1);
    stage.run_dry();  // nothing holds the loop
    CHECK(test::children().empty());
  }
  CHECK(refused >= 10);
  stage.run_until([&] { return started != 0; });
  CHECK(started == 1);
  ::close(to_child);
  stage.run_until([&] { return ended == 1; });
}

TEST_CASE("without memory there is either a child that is watched, or none at all") {
  test::stage stage;
  int ends[2] = {test::untouched, test::untouched};
  command cat{.argv = {"cat", "-"}, .cwd = "/"};
  cat.env.set.emplace("A_NAME_TOO_LONG_TO_BE_KEPT_IN_A_STRING", "1");
  cat.env.unset = {"B"};
  cat.input = stdio::pipe(&ends[0]);
  cat.output = stdio::pipe(&ends[1]);
  int told = 0;
  auto tell = [&told](const child_exit&) { ++told; };  // small enough to be held without an allocation
  int refused = 0;
  bool all_tried = false;
  while (!all_tried) {
    pid_t pid = test::untouched;
    auto watched = stage.reaper.stats().watched;
    int descriptors = test::open_descriptors();
    until_failure = refused + 1;
    int error = stage.reaper.spawn(&pid, cat, tell);
    all_tried = std::exchange(until_failure, 0) != 0;
    if (error == 0) {
      CHECK(all_tried);
      CHECK(stage.reaper.stats().watched == watched + 1);
      break;
    }
    REQUIRE(error == UV_ENOMEM);
    ++refused;
    CHECK(pid == test::untouched);
    CHECK(ends[0] == test::untouched);
    CHECK(ends[1] == test::untouched);
    CHECK(test::open_descriptors() == descriptors);
    CHECK(test::children().empty());
    CHECK(stage.reaper.stats().watched == watched);
  }
  CHECK(refused >= 5);
  ::close(ends[0]);
  stage.run_until([&] { return told == 1; });
  ::close(ends[1]);
}
