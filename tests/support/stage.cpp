#include "stage.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>

#include "sanitizers.hpp"

namespace test {
namespace {

std::string mode(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

bool poller_alone() { return mode("UVREAP_TEST_SIGCHLD") == "never"; }
bool pumped() { return mode("UVREAP_TEST_DRIVER") == "nowait"; }

bool pidfds_are_refused() {
  return under_valgrind() || (mode("UVREAP_TEST_BACKEND") == "automatic" && !names_exits());
}

bool names_exits() { return mode("UVREAP_TEST_RUNG") == "ring" || mode("UVREAP_TEST_RUNG") == "pidfd"; }

bool hears_sigchld() {
  return !poller_alone() && !(names_exits() && mode("UVREAP_TEST_SIGCHLD") == "when_needed");
}

uvreap::notice usual_notice() {
  if (names_exits()) return uvreap::notice::backend;
  return poller_alone() ? uvreap::notice::poller : uvreap::notice::sigchld;
}

uvreap::options options_of_this_run() {
  uvreap::options options;
  if (poller_alone()) {
    options.sigchld = uvreap::sigchld_use::never;
    options.poll_every = std::chrono::milliseconds(20);
  }
  if (mode("UVREAP_TEST_SIGCHLD") == "when_needed") options.sigchld = uvreap::sigchld_use::when_needed;
  if (mode("UVREAP_TEST_BACKEND") != "automatic") options.backend = uvreap::backend_kind::peek;
  if (mode("UVREAP_TEST_BACKEND") == "ring") options.backend = uvreap::backend_kind::ring;
  if (mode("UVREAP_TEST_BACKEND") == "pidfd") options.backend = uvreap::backend_kind::pidfd;
  return options;
}

stage::before::before() : descriptors(open_descriptors()) {}

stage::stage(uvreap::options options)
    : reaper_((uv_loop_init(&loop), std::make_unique<uvreap::reaper>(loop, std::move(options)))),
      reaper(*reaper_) {
  REQUIRE(reaper.start() == 0);
}

stage::~stage() {
  if (!leaves_children) {
    CHECK_MESSAGE(zombies().empty(), "a zombie is left");
    CHECK_MESSAGE(children().empty(), "a child is left");
  }
  destroy_reaper();
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK_MESSAGE(uv_loop_close(&loop) == 0, "a handle is left in the loop");
  clean_up_children();
  // libuv keeps one pipe for all signals of the process from the first signal handle on: two descriptors,
  // once.
  static int kept_by_libuv = 0;
  int more = open_descriptors() - before_.descriptors;
  if (kept_by_libuv == 0 && more == 2) kept_by_libuv = more, more = 0;
  CHECK_MESSAGE(more == 0, "descriptors more than before: ", more);
}

bool stage::turn_within(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  uv_timer_t deadline;
  uv_timer_init(&loop, &deadline);
  bool late = false;
  deadline.data = &late;
  auto expired = [](uv_timer_t* timer) { *static_cast<bool*>(timer->data) = true; };
  uv_update_time(&loop);
  // Again and again: before libuv 1.45 a turn whose timers have run sleeps until the next one, which may be
  // minutes away.
  uv_timer_start(&deadline, expired, static_cast<std::uint64_t>(limit.count()), 10);
  while (!late && !condition()) {
    uv_run(&loop, pumped() ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    if (pumped()) ::usleep(200);
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&deadline), nullptr);
  uv_run(&loop, UV_RUN_NOWAIT);
  return condition();
}

bool stage::turn_until(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  return turn_within(condition, limit * patience());
}

void stage::run_until(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  limit *= patience();
  REQUIRE_MESSAGE(turn_within(condition, limit), "it did not come within ", limit.count(), " ms");
}

void stage::run_for(std::chrono::milliseconds time) {
  (void)turn_within([] { return false; }, time);
}

void stage::turn() { uv_run(&loop, UV_RUN_NOWAIT); }
void stage::run_dry() { uv_run(&loop, UV_RUN_DEFAULT); }

}  // namespace test
