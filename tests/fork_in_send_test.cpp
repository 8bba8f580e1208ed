// Copies that are forked while another thread is in the middle of uv_async_send(): libuv waits for ever for
// the end of that when such a handle is closed, and in the copy nobody ends it.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "support/apart.hpp"
#include "support/reap_one.hpp"
#include "support/spawns.hpp"

namespace {

std::atomic<bool> are_others_held{false};
std::atomic<bool> is_one_held{false};

}  // namespace

// As libuv calls it, to wake the loop.
extern "C" ssize_t write(int file, const void* data, std::size_t size) {
  static auto original =
      reinterpret_cast<ssize_t (*)(int, const void*, std::size_t)>(::dlsym(RTLD_NEXT, "write"));
  while (are_others_held && ::gettid() != ::getpid()) {
    is_one_held = true;
    ::sched_yield();
  }
  return original(file, data, size);
}

namespace {

// Its copy begins afresh.
void check_copy(uv_loop_t& loop, uvreap::reaper& reaper) {
  while (!is_one_held) ::sched_yield();
  auto end = test::apart([&] {
    ::alarm(20);
    are_others_held = false;
    HOLDS(uv_loop_fork(&loop) == 0);
    HOLDS(reaper.after_fork() == 0);
    return test::reap_one(loop, reaper);
  });
  CHECK_MESSAGE(end.word == 0, end.said);
  are_others_held = is_one_held = false;
}

}  // namespace

TEST_CASE("a copy that is forked in the middle of a hand-over begins afresh, and the parent goes on") {
  test::stage stage;
  are_others_held = true;
  int told = 0;
  std::thread poster([&] { stage.reaper.post_watch(1, [&told](const uvreap::child_exit&) { ++told; }); });
  check_copy(stage.loop, stage.reaper);
  poster.join();
  stage.run_until([&] { return told == 1; });
}

TEST_CASE("so does one that is forked while a child of spawn_async() is handed over") {
  test::stage stage;
  are_others_held = true;
  test::spawned_child child;
  REQUIRE(child.ask(stage.reaper, {.argv = {"true"}}) == 0);
  check_copy(stage.loop, stage.reaper);
  stage.run_until([&] { return child.has_ended(); });
  CHECK(child.was_told_once());
}
