// What is due, and when: entries that are put on an agenda, moved on it, and take themselves off.
#include "child/agenda.hpp"

#include <doctest/doctest.h>
#include <uv.h>

#include <chrono>
#include <memory>

#include "support/fake_kernel.hpp"

using std::chrono::milliseconds;
using uvreap::agenda;
using uvreap::alarm;
using uvreap::entry;

namespace {

// An agenda on a loop; its clock stands still but for pass().
struct planned {
  planned() {
    REQUIRE(uv_loop_init(&loop) == 0);
    REQUIRE(all.open(
                loop, [this] { ++rung; }, nullptr) == 0);
  }
  ~planned() {
    all.close();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
  }
  planned(const planned&) = delete;
  planned& operator=(const planned&) = delete;

  void pass(int ms) { kernel.time_passes(milliseconds(ms)); }
  // In how many ms its timer is set to ring; -1: it is not.
  [[nodiscard]] long rings_in() {
    uv_timer_t* found = nullptr;
    uv_walk(
        &loop, [](uv_handle_t* handle, void* out) { *static_cast<void**>(out) = handle; },
        static_cast<void*>(&found));
    if (found == nullptr || uv_is_active(reinterpret_cast<uv_handle_t*>(found)) == 0) return -1;
    return static_cast<long>(uv_timer_get_due_in(found) + uv_now(&loop) - alarm::now_ms());
  }

  test::fake_kernel kernel;
  uv_loop_t loop{};
  agenda all;
  int rung = 0;
};

}  // namespace

TEST_CASE("an entry is due at its time, and not before") {
  planned it;
  entry one;
  CHECK(it.all.empty());
  CHECK_FALSE(it.all.is_due());
  it.all.set(one, alarm::in(10));
  CHECK(one.is_set());
  CHECK_FALSE(it.all.empty());
  CHECK(it.rings_in() == 11);  // whole milliseconds are rounded down, so one more
  it.pass(10);
  CHECK_FALSE(it.all.is_due());
  it.pass(1);
  CHECK(it.all.is_due());
  CHECK(&it.all.first() == &one);
}

TEST_CASE("an entry that is due in no time is due at once") {
  planned it;
  entry one;
  it.all.set(one, alarm::in(0));
  CHECK(it.all.is_due());
}

TEST_CASE("the first is the one with the earliest time, and of one time who was set first") {
  planned it;
  entry late, early, also_early;
  it.all.set(late, alarm::in(30));
  it.all.set(early, alarm::in(10));
  it.all.set(also_early, alarm::in(10));
  CHECK(it.rings_in() == 11);
  for (entry* one : {&early, &also_early, &late}) {
    CHECK(&it.all.first() == one);
    one->cancel();
  }
  CHECK(it.all.empty());
  CHECK(it.rings_in() == -1);
}

TEST_CASE("an entry is moved by being set again, forwards and backwards") {
  planned it;
  entry one, other;
  it.all.set(one, alarm::in(10));
  it.all.set(other, alarm::in(20));
  it.all.set(one, alarm::in(30));
  CHECK(&it.all.first() == &other);
  CHECK(it.rings_in() == 21);
  it.all.set(one, alarm::in(5));
  CHECK(&it.all.first() == &one);
  CHECK(one.at_ms() == alarm::in(5));
  CHECK(it.rings_in() == 6);
}

TEST_CASE("what is cancelled, and what is destroyed, is not on it any more") {
  planned it;
  entry one;
  one.cancel();  // of one that is not set: nothing
  it.all.set(one, alarm::in(10));
  one.cancel();
  CHECK_FALSE(one.is_set());
  CHECK(it.all.empty());
  {
    entry short_lived;
    it.all.set(short_lived, alarm::in(10));
  }
  CHECK(it.all.empty());
  CHECK(it.rings_in() == -1);
  it.all.set(one, alarm::in(10));  // and may be set again
  CHECK(&it.all.first() == &one);
}

TEST_CASE("it rings on its loop, and does not hold it") {
  planned it;
  it.kernel.let_through(test::fake_call::monotonic_ns);  // the loop's own time
  entry one;
  it.all.set(one, alarm::in(5));
  CHECK(uv_loop_alive(&it.loop) == 0);
  uv_timer_t holder;
  uv_timer_init(&it.loop, &holder);
  uv_timer_start(
      &holder, [](uv_timer_t*) {}, 60'000, 0);
  while (it.rung == 0) uv_run(&it.loop, UV_RUN_ONCE);
  CHECK(it.all.is_due());
  CHECK(it.rung == 1);
  uv_close(reinterpret_cast<uv_handle_t*>(&holder), nullptr);
}

TEST_CASE("an agenda without a loop, or closed, keeps entries and does not ring") {
  test::fake_kernel kernel;
  agenda never_opened;
  entry one;
  never_opened.set(one, alarm::in(0));
  CHECK(never_opened.is_due());
}
