// A callback may close or destroy the reaper, and whoever called out must not touch what went with it. Here
// memory of that size is taken from the program for good when it is freed: whoever touches it is killed.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "support/own_new.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

constexpr std::size_t guarded_from = 512;  // a reaper's core is larger
constexpr std::size_t page = 4096;

std::size_t mapped_for(std::size_t size) { return page + (size + page - 1) / page * page; }

}  // namespace

// A page that says how many follow, and the memory from the next one on: it is told from malloc's by where it
// begins.
void* test::allocate(std::size_t size) {
  void* memory = nullptr;
  if (size < guarded_from) {
    do memory = std::malloc(size == 0 ? 1 : size);
    while (memory != nullptr && reinterpret_cast<std::uintptr_t>(memory) % page == 0);  // that one is left
  } else {
    void* pages =
        ::mmap(nullptr, mapped_for(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages != MAP_FAILED) {
      *static_cast<std::size_t*>(pages) = mapped_for(size);
      memory = static_cast<char*>(pages) + page;
    }
  }
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void test::deallocate(void* memory) noexcept {
  if (memory == nullptr || reinterpret_cast<std::uintptr_t>(memory) % page != 0) return std::free(memory);
  void* pages = static_cast<char*>(memory) - page;
  (void)::mprotect(pages, *static_cast<std::size_t*>(pages), PROT_NONE);
}

namespace {

enum class way { destroys, closes, starts_again };

void end_it(test::stage& stage, way how) {
  if (how == way::destroys) return stage.destroy_reaper();
  CHECK(stage.reaper.close() == 0);
  if (how == way::starts_again) CHECK(stage.reaper.start() == 0);
}

// Some have ended and are told of in the same sweep, one lives.
void with_others_ended(const bool& told, const std::function<void(test::stage&, pid_t first)>& watch_first) {
  test::stage stage;
  stage.leaves_children = true;
  test::gate gate;
  pid_t lives = test::make_child([&] { return gate.wait(), 0; });
  pid_t first = test::make_child_exiting(0);
  std::vector<pid_t> others;
  for (int i = 1; i < 4; ++i) others.push_back(test::make_child_exiting(i));
  test::wait_until_ended(first);
  for (pid_t pid : others) test::wait_until_ended(pid);
  REQUIRE(stage.reaper.watch(lives, [](const child_exit&) { FAIL_CHECK("it lives"); }) == 0);
  watch_first(stage, first);
  for (pid_t pid : others) REQUIRE(stage.reaper.watch(pid, [](const child_exit&) {}) == 0);
  stage.run_until([&] { return told; });
  stage.run_for(milliseconds(20));
  stage.destroy_reaper();  // if it was not
  stage.run_for(milliseconds(5));
  gate.open();
  test::clean_up_children();
}

}  // namespace

TEST_CASE("a callback that closes or destroys the reaper leaves nobody at work on freed memory") {
  for (way how : {way::destroys, way::closes, way::starts_again}) {
    CAPTURE(static_cast<int>(how));
    bool told = false;
    with_others_ended(told, [&](test::stage& stage, pid_t first) {
      auto tell = [&](const child_exit&) { told = true, end_it(stage, how); };
      REQUIRE(stage.reaper.watch(first, tell) == 0);
    });
    CHECK(told);
  }
}

TEST_CASE("neither does the destructor of a capture that closes or destroys it") {
  for (way how : {way::destroys, way::closes, way::starts_again}) {
    CAPTURE(static_cast<int>(how));
    bool told = false;
    with_others_ended(told, [&](test::stage& stage, pid_t first) {
      auto at_its_end = [&](void*) {
        if (!std::exchange(told, true)) end_it(stage, how);
      };
      std::shared_ptr<void> captured(nullptr, at_its_end);
      REQUIRE(stage.reaper.watch(first, [captured](const child_exit&) {}) == 0);
    });
    CHECK(told);
  }
}

TEST_CASE("nor a callback for a stop") {
  for (way how : {way::destroys, way::closes, way::starts_again}) {
    CAPTURE(static_cast<int>(how));
    bool told = false;
    with_others_ended(told, [&](test::stage& stage, pid_t) {
      pid_t stops = test::make_child([] { return ::raise(SIGSTOP); });
      uvreap::watch_options options;
      options.on_change = [&, stops](const uvreap::child_change&) {
        if (std::exchange(told, true)) return;
        ::kill(stops, SIGKILL);
        end_it(stage, how);
      };
      REQUIRE(stage.reaper.watch(stops, options, [](const child_exit&) {}) == 0);
    });
    CHECK(told);
  }
}
