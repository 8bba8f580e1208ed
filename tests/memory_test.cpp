// No memory: the k-th allocation of a call fails, for every k that it has. Either the call did all, or
// UV_ENOMEM, and then nothing: the child is there to be waited for, and what the call was given is destroyed.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "support/apart.hpp"
#include "support/loop_handle.hpp"
#include "support/own_new.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

thread_local int until_failure = 0;  // 0: none fails
long alive = 0;

}  // namespace

void* test::allocate(std::size_t size) {
  if (until_failure > 0 && --until_failure == 0) throw std::bad_alloc();
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  ++alive;
  return memory;
}

void test::deallocate(void* memory) noexcept {
  if (memory != nullptr) --alive;
  std::free(memory);
}

namespace {

// Fails the k-th allocation of the call. False: the call made fewer than k, so there is no more to try.
template <class Call>
bool with_failure(int k, Call call) {
  until_failure = k;
  call();
  return std::exchange(until_failure, 0) == 0;
}

// Too long for std::function to keep it in itself, so that moving and destroying it is seen.
struct tellings {
  std::shared_ptr<int> token = std::make_shared<int>(0);
  int told = 0;
  uvreap::wait_status status;

  [[nodiscard]] uvreap::callback callback() {
    return [this, token = token](const child_exit& exit) { ++told, status = exit.status; };
  }
  [[nodiscard]] bool callback_is_gone() const { return token.use_count() == 1; }
};

bool is_waitable(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

uvreap::options with_a_quick_poller() {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(20);
  return options;
}

// watch() of a child that lives or is a zombie; afterwards it is told, by this watch or by another that was
// needed.
bool watch_with_failure(test::stage& stage, int k, bool ended, bool wants_changes) {
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  if (ended) gate.open(), test::wait_until_ended(pid);
  tellings tellings;
  auto callback = tellings.callback();
  uvreap::watch_options options;
  if (wants_changes) options.on_change = [token = tellings.token](const uvreap::child_change&) {};
  int error = -1;
  bool failed =
      with_failure(k, [&] { error = stage.reaper.watch(pid, std::move(options), std::move(callback)); });
  if (error != 0) {
    CHECK(error == UV_ENOMEM);
    CHECK(failed);
    CHECK(tellings.callback_is_gone());
    CHECK(is_waitable(pid));
    CHECK(stage.reaper.stats().watched == 0);
    REQUIRE(stage.reaper.watch(pid, tellings.callback()) == 0);
  }
  if (!ended) gate.open();
  stage.run_until([&] { return tellings.told == 1; });
  CHECK(tellings.status.raw() == test::exited_with(3));
  CHECK(tellings.callback_is_gone());
  return failed;
}

}  // namespace

TEST_CASE("watch without memory watches, or answers UV_ENOMEM and leaves the child waitable") {
  for (bool ended : {false, true}) {
    for (bool wants_changes : {false, true}) {
      CAPTURE(ended);
      CAPTURE(wants_changes);
      int k = 1;
      bool failed = true;
      for (; failed; ++k) {
        test::stage stage(with_a_quick_poller());
        CAPTURE(k);
        failed = watch_with_failure(stage, k, ended, wants_changes);
        REQUIRE(k < 100);
      }
      CHECK(k > 2);  // there were allocations that could fail
    }
  }
}

TEST_CASE("fork without memory forks and watches, or answers UV_ENOMEM and there is no child") {
  bool failed = true;
  for (int k = 1; failed; ++k) {
    CAPTURE(k);
    test::stage stage(with_a_quick_poller());
    tellings tellings;
    auto callback = tellings.callback();
    std::function<int()> child_main = [] { return 3; };
    pid_t pid = -7;
    int error = -1;
    failed =
        with_failure(k, [&] { error = stage.reaper.fork(&pid, std::move(child_main), std::move(callback)); });
    if (error != 0) {
      CHECK(error == UV_ENOMEM);
      CHECK(pid == -7);
      CHECK(test::children().empty());
      CHECK(tellings.callback_is_gone());
    } else {
      stage.run_until([&] { return tellings.told == 1; });
    }
    REQUIRE(k < 100);
  }
}

TEST_CASE("start without memory starts, or answers UV_ENOMEM with nothing half made, and works later") {
  bool failed = true;
  for (int k = 1; failed; ++k) {
    CAPTURE(k);
    test::stage stage(with_a_quick_poller());
    REQUIRE(stage.reaper.close() == 0);
    stage.turn();
    int error = -1;
    failed = with_failure(k, [&] { error = stage.reaper.start(); });
    if (error != 0) {
      CHECK(error == UV_ENOMEM);
      CHECK(failed);
      CHECK(stage.reaper.watch(1, [](const child_exit&) {}) == UV_EINVAL);
      stage.run_dry();
      CHECK(uv_loop_alive(&stage.loop) == 0);
      REQUIRE(stage.reaper.start() == 0);
    }
    int told = 0;
    pid_t pid = 0;
    REQUIRE(stage.reaper.fork(
                &pid, [] { return 0; }, [&](const child_exit&) { ++told; }) == 0);
    stage.run_until([&] { return told == 1; });
    REQUIRE(k < 100);
  }
}

TEST_CASE("a turn without memory loses nothing: what it could not do is done later") {
  bool failed = true;
  for (int k = 1; failed; ++k) {
    CAPTURE(k);
    test::stage stage(with_a_quick_poller());
    std::vector<tellings> children(6);
    for (auto& one : children) {
      pid_t pid = test::make_child_exiting(3);
      test::wait_until_ended(pid);
      REQUIRE(stage.reaper.watch(pid, one.callback()) == 0);
    }
    failed = with_failure(k, [&] {
      for (int turns = 0; turns < 4; ++turns) uv_run(&stage.loop, UV_RUN_NOWAIT);
    });
    for (auto& one : children) {
      stage.run_until([&] { return one.told == 1; });
      CHECK(one.status.raw() == test::exited_with(3));
    }
    REQUIRE(k < 100);
  }
}

TEST_CASE("post_watch without memory throws with nothing handed over, or hands over") {
  bool failed = true;
  for (int k = 1; failed; ++k) {
    CAPTURE(k);
    test::stage stage(with_a_quick_poller());
    tellings tellings;
    pid_t pid = test::make_child_exiting(3);
    auto callback = tellings.callback();
    bool threw = false;
    failed = with_failure(k, [&] {
      try {
        stage.reaper.post_watch(pid, std::move(callback));
      } catch (const std::bad_alloc&) {
        threw = true;
      }
    });
    callback = nullptr;
    if (threw) {
      CHECK(tellings.callback_is_gone());
      stage.reaper.post_watch(pid, tellings.callback());
    }
    stage.run_until([&] { return tellings.told == 1; });
    REQUIRE(k < 100);
  }
}

// These two are tried in a process apart: an exception inside a callback of libuv's, or in a destructor, ends
// it.
TEST_CASE("a turn without memory does not end the program, and takes the hand-over later") {
  for (int k = 1; k <= 6; ++k) {
    CAPTURE(k);
    auto end = test::apart([k] {
      uv_loop_t loop;
      HOLDS(uv_loop_init(&loop) == 0);
      uvreap::reaper reaper(loop, with_a_quick_poller());
      HOLDS(reaper.start() == 0);
      tellings tellings;
      reaper.post_watch(test::make_child_exiting(3), tellings.callback());
      with_failure(k, [&] { uv_run(&loop, UV_RUN_NOWAIT); });
      auto other = test::after(loop, milliseconds(2000), [] {});
      while (tellings.told == 0 && uv_is_active(reinterpret_cast<uv_handle_t*>(other.get())) != 0) {
        uv_run(&loop, UV_RUN_ONCE);
      }
      HOLDS(tellings.told == 1);
      return 0;
    });
    CHECK_MESSAGE(end.word == 0, end.said);
  }
}

TEST_CASE("close and destruction without memory do not end the program") {
  for (bool destroys : {false, true}) {
    for (int k = 1; k <= 4; ++k) {
      CAPTURE(destroys);
      CAPTURE(k);
      auto end = test::apart([k, destroys] {
        uv_loop_t loop;
        HOLDS(uv_loop_init(&loop) == 0);
        auto reaper = std::make_unique<uvreap::reaper>(loop, with_a_quick_poller());
        HOLDS(reaper->start() == 0);
        int error = 0;
        with_failure(k, [&] { destroys ? reaper.reset() : void(error = reaper->close()); });
        HOLDS(error == 0);
        reaper.reset();
        uv_run(&loop, UV_RUN_DEFAULT);
        HOLDS(uv_loop_close(&loop) == 0);
        return 0;
      });
      CHECK_MESSAGE(end.word == 0, end.said);
    }
  }
}

TEST_CASE("a close that cannot remember its done answers UV_ENOMEM, and the reaper goes on") {
  bool failed = true;
  for (int k = 1; failed; ++k) {
    CAPTURE(k);
    test::stage stage(with_a_quick_poller());
    int told = 0;
    bool done = false;
    pid_t pid = 0;
    test::gate gate;
    auto tell = [&](const child_exit&) { ++told; };
    REQUIRE(stage.reaper.fork(
                &pid, [&] { return gate.wait(), 0; }, tell) == 0);
    std::function<void()> finish = [&done, token = std::make_shared<int>(0)] { done = true; };
    int error = -1;
    failed = with_failure(k, [&] { error = stage.reaper.close(std::move(finish)); });
    gate.open();
    if (error != 0) {
      CHECK(error == UV_ENOMEM);
      stage.run_until([&] { return told == 1; });
    } else {
      stage.run_until([&] { return done; });
      CHECK(::waitpid(pid, nullptr, 0) == pid);
    }
    REQUIRE(k < 100);
  }
}

TEST_CASE("nothing that was allocated for a thousand watches is kept") {
  test::stage stage(with_a_quick_poller());
  auto run_some = [&](int count) {
    for (int i = 0; i < count; ++i) {
      int told = 0;
      pid_t pid = test::make_child_exiting(0);
      test::wait_until_ended(pid);
      REQUIRE(stage.reaper.watch(pid, [&](const child_exit&) { ++told; }) == 0);
      while (told == 0) uv_run(&stage.loop, UV_RUN_ONCE);
    }
  };
  run_some(50);
  long before = alive;
  run_some(1000);
  CHECK(alive - before <= 4);  // a spare of this and that
}
