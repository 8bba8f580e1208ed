// The idle poller's pace on a real loop, and what the SIGCHLD handle makes of actions, masks and pending
// signals that a scripted kernel shows it.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include <cerrno>
#include <memory>

#include "support/fake_kernel.hpp"
#include "wake/poller.hpp"
#include "wake/sigchld.hpp"

using std::chrono::milliseconds;
using uvreap::sigchld;
using uvreap::sigchld_health;

namespace {

// A poller on a loop of its own. Its rest is read off the timer, so no test depends on how fast the machine
// is.
class pace {
 public:
  explicit pace(int longest) : poller(milliseconds(longest)) {
    uv_loop_init(&loop);
    REQUIRE(poller.open(
                loop, [this] { ++ticks; }, nullptr) == 0);
  }
  ~pace() {
    poller.close();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
  }
  pace(const pace&) = delete;
  pace& operator=(const pace&) = delete;

  // What its timer has left, just after it was started; -1: it is not started.
  [[nodiscard]] int rest() {
    uv_timer_t* found = nullptr;
    auto look = [](uv_handle_t* handle, void* out) {
      if (handle->type == UV_TIMER) *static_cast<uv_timer_t**>(out) = reinterpret_cast<uv_timer_t*>(handle);
    };
    uv_walk(&loop, look, static_cast<void*>(&found));
    if (found == nullptr || uv_is_active(reinterpret_cast<uv_handle_t*>(found)) == 0) return -1;
    return static_cast<int>(uv_timer_get_due_in(found));
  }
  int tick(bool found, bool others_notice_all = false) {  // a tick, and the look after it
    poller.ticked(others_notice_all);
    poller.looked(found);
    return rest();
  }

  test::fake_kernel kernel;  // whose clock stands still
  uv_loop_t loop{};
  uvreap::poller poller;
  int ticks = 0;
};

void some_handler(int) {}
void another_handler(int) {}

struct ::sigaction action_of(void (*handler)(int), int flags = 0) {
  struct ::sigaction made {};
  made.sa_handler = handler;
  made.sa_flags = flags;
  return made;
}

// A listening handle; the kernel shows some_handler as the one that libuv installed.
class listening {
 public:
  listening() {
    uv_loop_init(&loop);
    kernel.action = action_of(some_handler, SA_RESTART);
    REQUIRE(signals.open(
                loop, [] {}, nullptr) == 0);
    REQUIRE(signals.listen() == 0);
  }
  ~listening() {
    signals.close();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
  }
  listening(const listening&) = delete;
  listening& operator=(const listening&) = delete;

  [[nodiscard]] bool repairs(const struct ::sigaction& found) {
    kernel.action = found;
    signals.repair();
    return kernel.action.sa_handler == some_handler && kernel.action.sa_flags == SA_RESTART;
  }

  uv_loop_t loop{};
  test::fake_kernel kernel;
  sigchld signals;
};

}  // namespace

TEST_CASE("the poller rests as long as it may, halves on each find and doubles back on empty looks") {
  pace it(1600);
  CHECK(it.rest() == -1);
  it.poller.stand_by(true, true);
  CHECK(it.rest() == 1600);
  CHECK(it.tick(true) == 800);
  CHECK(it.tick(true) == 400);
  CHECK(it.tick(true) == 200);
  CHECK(it.tick(true) == 100);
  CHECK(it.tick(true) == 100);   // a sixteenth, and no less
  CHECK(it.tick(false) == 100);  // that look was empty, which the next tick knows
  CHECK(it.tick(false) == 200);
  CHECK(it.tick(true) == 200);  // doubled by the look before, halved by this one
  for (int rest : {200, 400, 800, 1600, 1600}) CHECK(it.tick(false) == rest);
}

TEST_CASE("the rest is never below ten milliseconds, unless it is asked to be") {
  SUBCASE("of forty") {
    pace it(40);
    it.poller.stand_by(true, true);
    CHECK(it.tick(true) == 20);
    for (int i = 0; i < 3; ++i) CHECK(it.tick(true) == 10);
  }
  SUBCASE("of five") {
    pace it(5);
    it.poller.stand_by(true, true);
    for (int i = 0; i < 3; ++i) CHECK(it.tick(true) == 5);
  }
}

TEST_CASE("at rest it doubles up to 64 times, while the others notice all") {
  pace it(1000);
  it.poller.stand_by(true, true);
  for (int rest : {2000, 4000, 8000, 16'000, 32'000, 64'000, 64'000}) CHECK(it.tick(false, true) == rest);
  SUBCASE("no longer") {
    CHECK(it.tick(false, false) == 1000);
    CHECK(it.tick(false, false) == 1000);
    CHECK(it.tick(false, true) == 2000);
  }
  SUBCASE("until something stirs") {
    it.poller.stir();
    CHECK(it.rest() == 1000);
    CHECK(it.tick(false, true) == 1000);  // it stirred since the last
    CHECK(it.tick(false, true) == 2000);
  }
  SUBCASE("until it finds what nothing else told") {
    CHECK(it.tick(true, true) == 500);
    CHECK(it.tick(false, true) == 500);
    CHECK(it.tick(false, true) == 1000);
    CHECK(it.tick(false, true) == 2000);
  }
  SUBCASE("and stands by no more") {
    it.poller.stand_by(false, false);
    it.poller.stir();
    CHECK(it.rest() == -1);
    it.poller.stand_by(true, true);
    CHECK(it.rest() == 1000);
  }
}

TEST_CASE("the longest rest that can be written down is not made longer") {
  uvreap::poller poller(milliseconds::max());
  poller.ticked(true);
  poller.ticked(true);
  poller.stir();
}

TEST_CASE("one look that goes on over many turns and finds in each halves the rest once") {
  pace it(1600);
  it.poller.stand_by(true, true);
  it.poller.ticked(false);
  for (int i = 0; i < 5; ++i) it.poller.looked(true);
  CHECK(it.rest() == 800);
}

TEST_CASE("standing by again leaves the timer as it is, and nothing to do stops it and forgets the pace") {
  pace it(1600);
  it.poller.stand_by(true, true);
  CHECK(it.tick(true) == 800);
  it.poller.stand_by(true, true);
  CHECK(it.rest() == 800);
  it.poller.stand_by(false, false);
  CHECK(it.rest() == -1);
  it.poller.looked(true);  // of a look that was still under way
  CHECK(it.rest() == -1);
  it.poller.stand_by(true, true);
  CHECK(it.rest() == 1600);
}

TEST_CASE("it ticks by itself, and holds the loop as it is told") {
  pace it(20);
  it.poller.stand_by(true, true);
  CHECK(uv_loop_alive(&it.loop) != 0);
  while (it.ticks == 0) uv_run(&it.loop, UV_RUN_ONCE);
  it.poller.stand_by(true, false);
  CHECK(uv_loop_alive(&it.loop) == 0);
}

TEST_CASE("a poller of 0 holds the loop and never ticks") {
  pace it(0);
  it.poller.stand_by(true, true);
  CHECK(uv_loop_alive(&it.loop) != 0);
  uv_timer_t other;
  uv_timer_init(&it.loop, &other);
  uv_timer_start(
      &other, [](uv_timer_t*) {}, 60, 0);
  uv_run(&it.loop, UV_RUN_ONCE);  // sleeps until the other timer
  CHECK(it.ticks == 0);
  it.poller.looked(true);
  uv_timer_start(
      &other, [](uv_timer_t*) {}, 20, 0);
  uv_run(&it.loop, UV_RUN_ONCE);
  CHECK(it.ticks == 0);
  CHECK(uv_loop_alive(&it.loop) != 0);
  uv_close(reinterpret_cast<uv_handle_t*>(&other), nullptr);
  it.poller.stand_by(true, false);
  CHECK(uv_run(&it.loop, UV_RUN_NOWAIT) == 0);
}

TEST_CASE("an ignored or defaulted SIGCHLD is put back, a handler that other code installed is not") {
  listening it;
  CHECK(it.repairs(action_of(SIG_IGN)));
  CHECK(it.repairs(action_of(SIG_DFL)));
  CHECK(it.repairs(action_of(some_handler, SA_NOCLDWAIT)));
  CHECK_FALSE(it.repairs(action_of(another_handler)));
  CHECK_FALSE(it.repairs(action_of(another_handler, SA_NOCLDWAIT)));
  CHECK(it.repairs(action_of(some_handler, SA_RESTART)));  // nothing to mend
}

TEST_CASE("nothing is set where nothing is to be mended, or the kernel would not say") {
  listening it;
  auto calls = it.kernel.calls(test::fake_call::sigaction);
  it.signals.repair();
  CHECK(it.kernel.calls(test::fake_call::sigaction) - calls == 1);
  it.kernel.action = action_of(SIG_IGN);
  it.kernel.plan({.where = test::fake_call::sigaction, .error = EFAULT});
  it.signals.repair();
  CHECK((it.kernel.action.sa_handler == SIG_IGN));
}

TEST_CASE("a handle that does not listen repairs nothing") {
  test::fake_kernel kernel;
  kernel.action = action_of(SIG_IGN);
  sigchld signals;
  signals.repair();
  CHECK((kernel.action.sa_handler == SIG_IGN));
}

TEST_CASE(
    "SIGCHLD that stood ignored behind libuv's back when we listened cannot be mended, and is reported") {
  test::fake_kernel kernel;
  kernel.action = action_of(SIG_IGN);
  uv_loop_t loop;
  uv_loop_init(&loop);
  {
    sigchld signals;
    REQUIRE(signals.open(
                loop, [] {}, nullptr) == 0);
    REQUIRE(signals.listen() == 0);
    signals.repair();
    CHECK((kernel.action.sa_handler == SIG_IGN));
    CHECK(signals.health(false) == sigchld_health::ignored);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

TEST_CASE("health: ignored before blocked, blocked before unheard") {
  listening it;
  CHECK(it.signals.health(false) == sigchld_health::healthy);
  CHECK(it.signals.health(true) == sigchld_health::unheard);
  sigaddset(&it.kernel.mask, SIGCHLD);
  CHECK(it.signals.health(false) ==
        sigchld_health::healthy);  // blocked, but none waits: another thread may hear it
  sigaddset(&it.kernel.pending, SIGCHLD);
  CHECK(it.signals.health(true) == sigchld_health::blocked);
  sigdelset(&it.kernel.mask, SIGCHLD);
  CHECK(it.signals.health(false) == sigchld_health::healthy);  // pending for a moment
  sigaddset(&it.kernel.mask, SIGCHLD);
  it.kernel.action = action_of(some_handler, SA_NOCLDWAIT);
  CHECK(it.signals.health(true) == sigchld_health::ignored);
  it.kernel.action = action_of(SIG_IGN);
  CHECK(sigchld::is_ignored());
}

TEST_CASE("SIGCHLD is heard by libuv's handler alone, where the thread does not block it") {
  listening it;
  CHECK(it.signals.is_heard());
  sigaddset(&it.kernel.mask, SIGCHLD);
  CHECK_FALSE(it.signals.is_heard());
  sigdelset(&it.kernel.mask, SIGCHLD);
  for (auto action : {action_of(SIG_IGN), action_of(SIG_DFL), action_of(another_handler),
                      action_of(some_handler, SA_NOCLDWAIT)}) {
    it.kernel.action = action;
    CHECK_FALSE(it.signals.is_heard());
  }
  it.kernel.action = action_of(some_handler, SA_RESTART);
  it.kernel.plan({.where = test::fake_call::sigaction, .error = EFAULT});
  CHECK_FALSE(it.signals.is_heard());
  CHECK(it.signals.is_heard());
  it.signals.close();
  CHECK_FALSE(it.signals.is_heard());
}

TEST_CASE("a handle that does not listen is not unheard") {
  test::fake_kernel kernel;
  kernel.action = action_of(some_handler);
  sigchld signals;
  CHECK(signals.health(true) == sigchld_health::healthy);
}

TEST_CASE("SA_SIGINFO with a handler whose address looks like SIG_IGN's is a function") {
  test::fake_kernel kernel;
  kernel.action = action_of(SIG_IGN, SA_SIGINFO);
  CHECK_FALSE(sigchld::is_ignored());
}
