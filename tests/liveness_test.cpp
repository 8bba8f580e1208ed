// What keeps uv_run going, and what does not.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <memory>

#include "support/bare_loop.hpp"
#include "support/loop_handle.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

// Each test holds with the poller and without it: its timer is what holds the loop, whether it ticks or not.
void with_and_without_poller(const std::function<void(test::bare_loop&, uvreap::reaper&)>& test) {
  for (bool polls : {true, false}) {
    CAPTURE(polls);
    auto options = test::options_of_this_run();
    if (!polls) options.poll_every = milliseconds(0);
    test::bare_loop on;
    uvreap::reaper reaper(on.loop, options);
    REQUIRE(reaper.start() == 0);
    test(on, reaper);
  }
}

// In the mode without SIGCHLD and without a poller nobody would ever say that the child ended.
bool nothing_hears(bool polls) { return test::poller_alone() && !polls; }

class living_child {
 public:
  ~living_child() {
    gate_.open();
    ::waitpid(pid, nullptr, 0);
  }
  void end() const { gate_.open(); }

 private:
  test::gate gate_;

 public:
  const pid_t pid = test::make_child([this] { return gate_.wait(), 0; });
};

bool the_run_ends_at_once(uv_loop_t& loop) { return uv_run(&loop, UV_RUN_DEFAULT) == 0; }

}  // namespace

TEST_CASE("a started reaper with nothing watched does not hold the loop") {
  with_and_without_poller([](test::bare_loop& on, uvreap::reaper&) {
    CHECK(uv_loop_alive(&on.loop) == 0);
    CHECK(the_run_ends_at_once(on.loop));
  });
}

TEST_CASE("a watch holds the loop until its callback has returned") {
  for (bool polls : {true, false}) {
    CAPTURE(polls);
    auto options = test::options_of_this_run();
    if (!polls) options.poll_every = milliseconds(0);
    test::bare_loop on;
    uvreap::reaper reaper(on.loop, options);
    REQUIRE(reaper.start() == 0);
    if (nothing_hears(polls)) {
      MESSAGE("SKIP: with neither SIGCHLD nor a poller nobody hears of the exit");
      continue;
    }
    living_child child;
    auto opener = test::after(on.loop, milliseconds(30), [&] { child.end(); });
    bool alive_inside = false;
    int told = 0;
    auto tell = [&](const child_exit&) { ++told, alive_inside = uv_loop_alive(&on.loop) != 0; };
    REQUIRE(reaper.watch(child.pid, tell) == 0);
    CHECK(uv_run(&on.loop, UV_RUN_DEFAULT) == 0);
    CHECK(told == 1);
    CHECK(alive_inside);
    CHECK(uv_loop_alive(&on.loop) == 0);
  }
}

TEST_CASE("a watch of an ended child holds the loop until it is told") {
  with_and_without_poller([](test::bare_loop& on, uvreap::reaper& reaper) {
    pid_t pid = test::make_child_exiting(0);
    test::wait_until_ended(pid);
    int told = 0;
    REQUIRE(reaper.watch(pid, [&](const child_exit&) { ++told; }) == 0);
    CHECK(the_run_ends_at_once(on.loop));
    CHECK(told == 1);
  });
}

TEST_CASE("a watch without ref does not hold the loop") {
  with_and_without_poller([](test::bare_loop& on, uvreap::reaper& reaper) {
    living_child child;
    REQUIRE(reaper.watch(child.pid, {.ref = false}, [](const child_exit&) { FAIL_CHECK("told"); }) == 0);
    CHECK(the_run_ends_at_once(on.loop));
    CHECK(reaper.release(child.pid) == 0);
  });
}

TEST_CASE("a watch with ref beside one without holds the loop for itself alone") {
  with_and_without_poller([](test::bare_loop& on, uvreap::reaper& reaper) {
    living_child child;
    REQUIRE(reaper.watch(child.pid, {.ref = false}, [](const child_exit&) {}) == 0);
    pid_t pid = test::make_child_exiting(0);
    test::wait_until_ended(pid);
    int told = 0;
    REQUIRE(reaper.watch(pid, [&](const child_exit&) { ++told; }) == 0);
    CHECK(uv_loop_alive(&on.loop) != 0);
    CHECK(the_run_ends_at_once(on.loop));
    CHECK(told == 1);
    CHECK(reaper.release(child.pid) == 0);
  });
}

TEST_CASE("a released and a forgotten child do not hold the loop, and one that is taken back does again") {
  with_and_without_poller([](test::bare_loop& on, uvreap::reaper& reaper) {
    living_child child;
    auto tell = [](const child_exit&) { FAIL_CHECK("told"); };
    REQUIRE(reaper.watch(child.pid, tell) == 0);
    CHECK(uv_loop_alive(&on.loop) != 0);
    REQUIRE(reaper.detach(child.pid) == 0);
    CHECK(the_run_ends_at_once(on.loop));
    REQUIRE(reaper.watch(child.pid, tell) == 0);
    CHECK(uv_loop_alive(&on.loop) != 0);
    REQUIRE(reaper.release(child.pid) == 0);
    CHECK(the_run_ends_at_once(on.loop));
  });
}

TEST_CASE("a reserved child does not hold the loop until a watch brings its callback") {
  with_and_without_poller([](test::bare_loop& on, uvreap::reaper& reaper) {
    living_child child;
    REQUIRE(reaper.watch(child.pid, uvreap::callback{}) == 0);
    CHECK(the_run_ends_at_once(on.loop));
    REQUIRE(reaper.watch(child.pid, [](const child_exit&) { FAIL_CHECK("told"); }) == 0);
    CHECK(uv_loop_alive(&on.loop) != 0);
    REQUIRE(reaper.release(child.pid) == 0);
  });
}

TEST_CASE("a reserved child that is reaped does not hold the loop, and its telling does") {
  with_and_without_poller([](test::bare_loop& on, uvreap::reaper& reaper) {
    pid_t pid = test::make_child_exiting(6);
    test::wait_until_ended(pid);
    REQUIRE(reaper.watch(pid, uvreap::callback{}) == 0);
    {
      auto other = test::after(on.loop, milliseconds(20), [] {});
      uv_run(&on.loop, UV_RUN_DEFAULT);
    }
    CHECK(reaper.stats().reaped == 1);
    CHECK(the_run_ends_at_once(on.loop));
    int told = 0;
    REQUIRE(reaper.watch(pid, [&](const child_exit&) { ++told; }) == 0);
    CHECK(the_run_ends_at_once(on.loop));
    CHECK(told == 1);
  });
}

TEST_CASE("a collected child that is forgotten, and a closed reaper, let the loop go") {
  with_and_without_poller([](test::bare_loop& on, uvreap::reaper& reaper) {
    pid_t pid = test::make_child_exiting(6);
    test::wait_until_ended(pid);
    REQUIRE(reaper.watch(pid, [](const child_exit&) { FAIL_CHECK("told"); }) == 0);
    while (reaper.stats().reaped == 0) uv_run(&on.loop, UV_RUN_NOWAIT);
    CHECK(uv_loop_alive(&on.loop) != 0);
    REQUIRE(reaper.detach(pid) == 0);
    CHECK(the_run_ends_at_once(on.loop));

    living_child child;
    REQUIRE(reaper.watch(child.pid, [](const child_exit&) { FAIL_CHECK("told"); }) == 0);
    REQUIRE(reaper.close() == 0);
    CHECK(the_run_ends_at_once(on.loop));
  });
}

TEST_CASE("a hand-over does not hold the loop before it is taken, and is a watch like others then") {
  with_and_without_poller([](test::bare_loop& on, uvreap::reaper& reaper) {
    pid_t pid = test::make_child_exiting(6);
    test::wait_until_ended(pid);
    int told = 0;
    reaper.post_watch(pid, [&](const child_exit&) { ++told; });
    CHECK(the_run_ends_at_once(on.loop));
    CHECK(told == 0);
    auto other = test::after(on.loop, milliseconds(20), [] {});
    uv_run(&on.loop, UV_RUN_ONCE);  // takes it
    uv_run(&on.loop, UV_RUN_DEFAULT);
    CHECK(told == 1);
  });
}
