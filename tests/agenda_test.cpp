// What is due, and when: entries that are put on an agenda, moved on it, and take themselves off.
#include "child/agenda.hpp"

#include <doctest/doctest.h>
#include <uv.h>

#include <chrono>

#include "support/fake_kernel.hpp"

using std::chrono::milliseconds;
using uvreap::agenda;
using uvreap::alarm;
using uvreap::entry;

namespace {

// An agenda whose clock stands still but for pass().
struct planned {
  void pass(int ms) { kernel.time_passes(milliseconds(ms)); }
  // In how many ms its first is due; -1: it is empty.
  [[nodiscard]] long next_in() const {
    return all.next_ms == alarm::never ? -1 : static_cast<long>(all.next_ms - alarm::now_ms());
  }

  test::fake_kernel kernel;
  agenda all;
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
  CHECK(it.next_in() == 11);  // whole milliseconds are rounded down, so one more
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
  CHECK(it.next_in() == 11);
  for (entry* one : {&early, &also_early, &late}) {
    CHECK(&it.all.first() == one);
    one->cancel();
  }
  CHECK(it.all.empty());
  CHECK(it.next_in() == -1);
}

TEST_CASE("an entry is moved by being set again, forwards and backwards") {
  planned it;
  entry one, other;
  it.all.set(one, alarm::in(10));
  it.all.set(other, alarm::in(20));
  it.all.set(one, alarm::in(30));
  CHECK(&it.all.first() == &other);
  CHECK(it.next_in() == 21);
  it.all.set(one, alarm::in(5));
  CHECK(&it.all.first() == &one);
  CHECK(one.at_ms() == alarm::in(5));
  CHECK(it.next_in() == 6);
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
  CHECK(it.next_in() == -1);
  it.all.set(one, alarm::in(10));  // and may be set again
  CHECK(&it.all.first() == &one);
}

TEST_CASE("an alarm rings on its loop once, and does not hold it") {
  test::fake_kernel kernel;
  kernel.let_through(test::fake_call::monotonic_ns);  // the loop's own time
  uv_loop_t loop;
  REQUIRE(uv_loop_init(&loop) == 0);
  uvreap::alarm one;
  one.set(alarm::in(0));  // not open: nothing
  int rung = 0;
  REQUIRE(one.open(
              loop, [&] { ++rung; }, nullptr) == 0);
  one.set(alarm::in(5));
  CHECK(uv_loop_alive(&loop) == 0);
  one.hold_the_loop(true);
  auto due = alarm::in(4);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(rung == 1);
  CHECK(alarm::now_ms() >= due);
  one.set(alarm::in(5));
  one.set(alarm::never);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(rung == 1);
  one.close();
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}
