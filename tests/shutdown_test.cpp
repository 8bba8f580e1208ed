// A loop that is ended as libuv's users do it: uv_walk, uv_close(handle, nullptr) on all handles, uv_run,
// then the destructors, then uv_loop_close. The library's handles are among those. What is undelivered is
// destroyed uncalled, and the children are the program's.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#include "support/apart.hpp"
#include "support/children.hpp"
#include "support/message.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

void close_all(uv_loop_t& loop) {
  auto close_one = [](uv_handle_t* handle, void*) {
    if (uv_is_closing(handle) == 0) uv_close(handle, nullptr);
  };
  uv_walk(&loop, close_one, nullptr);
}

// Callbacks whose captures are seen to be destroyed, and which must not be called.
class silences {
 public:
  struct one {
    std::shared_ptr<int> calls = std::make_shared<int>(0);
    int most_calls = 0;

    uvreap::callback callback() {
      return [calls = calls](const child_exit&) { ++*calls; };
    }
    std::function<void()> done() {
      return [calls = calls] { ++*calls; };
    }
  };

  void add() { all_.emplace_back(); }
  one& last() { return all_.back(); }
  one& operator[](std::size_t which) { return all_[which]; }
  [[nodiscard]] bool are_kept() const {
    return std::ranges::all_of(
        all_, [](const one& each) { return *each.calls <= each.most_calls && each.calls.use_count() == 1; });
  }

 private:
  std::vector<one> all_;
};

// One child, from its making to its callback, on a loop of its own: nothing that was closed elsewhere is in
// the way.
int reap_one_on(uv_loop_t& loop) {
  uvreap::reaper reaper(loop, test::options_of_this_run());
  HOLDS(reaper.start() == 0);
  int code = -1;
  pid_t pid = 0;
  HOLDS(reaper.fork(
            &pid, [] { return 5; }, [&](const child_exit& exit) { code = exit.status.exit_code(); }) == 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(code == 5);
  return 0;
}

int reap_one_on_a_second_loop() {
  uv_loop_t second;
  HOLDS(uv_loop_init(&second) == 0);
  if (int failed = reap_one_on(second); failed != 0) return failed;
  uv_run(&second, UV_RUN_DEFAULT);
  HOLDS(uv_loop_close(&second) == 0);
  return 0;
}

using setting = std::function<int(uvreap::reaper&, uv_loop_t&, silences&)>;

// Sets the scene on a loop and ends it; then the same loop and another serve a new reaper.
int end_a_loop(const uvreap::options& options, const setting& set, bool runs_before_the_destructor) {
  int descriptors = 0;
  for (int round = 0; round < 3; ++round) {
    uv_loop_t loop;
    HOLDS(uv_loop_init(&loop) == 0);
    if (round == 1) descriptors = test::open_descriptors();
    if (round == 2) HOLDS(test::open_descriptors() == descriptors);
    silences all;
    {
      uvreap::reaper reaper(loop, options);
      HOLDS(reaper.start() == 0);
      if (int failed = set(reaper, loop, all); failed != 0) return failed;
      close_all(loop);
      if (runs_before_the_destructor) {
        HOLDS(uv_run(&loop, UV_RUN_DEFAULT) == 0);
      }
    }
    HOLDS(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    HOLDS(all.are_kept());
    HOLDS(test::zombies().size() == test::children().size());  // nobody was killed but by the setting
    test::clean_up_children();
    if (round == 0) {
      if (int failed = reap_one_on(loop); failed != 0) return failed;
      HOLDS(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    }
    HOLDS(uv_loop_close(&loop) == 0);
    if (int failed = reap_one_on_a_second_loop(); failed != 0) return failed;
  }
  return 0;
}

void check_ends_well(const setting& set, const uvreap::options& options = test::options_of_this_run()) {
  for (bool runs_before : {true, false}) {
    CAPTURE(runs_before);
    auto end = test::apart([&] { return end_a_loop(options, set, runs_before); });
    CHECK_MESSAGE(end.word == 0, end.said);
  }
}

}  // namespace

TEST_CASE("negative control: the same loop without a reaper ends so") {
  auto end = test::apart([] {
    uv_loop_t loop;
    HOLDS(uv_loop_init(&loop) == 0);
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    HOLDS(uv_loop_close(&loop) == UV_EBUSY);
    close_all(loop);
    uv_run(&loop, UV_RUN_DEFAULT);
    HOLDS(uv_loop_close(&loop) == 0);
    return 0;
  });
  CHECK_MESSAGE(end.word == 0, end.said);
}

TEST_CASE("a loop is ended by closing all handles, with a reaper that watches nothing") {
  check_ends_well([](uvreap::reaper&, uv_loop_t&, silences&) { return 0; });
}

TEST_CASE("a loop is ended by closing all handles, with callbacks pending: each is destroyed uncalled") {
  check_ends_well([](uvreap::reaper& reaper, uv_loop_t& loop, silences& all) {
    for (int i = 0; i < 5; ++i) all.add();
    pid_t ended = test::make_child_exiting(1);
    test::wait_until_ended(ended);
    HOLDS(reaper.watch(ended, all[0].callback()) == 0);
    while (reaper.stats().reaped == 0)
      uv_run(&loop, UV_RUN_NOWAIT);  // collected, and delivered in the next turn
    for (std::size_t i = 1; i < 4; ++i) {
      pid_t pid = test::make_child_exiting(2);
      test::wait_until_ended(pid);
      HOLDS(reaper.watch(pid, {.timeout = std::chrono::minutes(1)}, all[i].callback()) == 0);
    }
    pid_t posted = test::make_child_exiting(3);
    test::wait_until_ended(posted);
    reaper.post_watch(posted, all[4].callback());
    return 0;
  });
}

TEST_CASE(
    "a loop is ended by closing all handles around close(): its done comes once, or is destroyed uncalled") {
  for (int order : {0, 1, 2}) {
    CAPTURE(order);
    check_ends_well([order](uvreap::reaper& reaper, uv_loop_t& loop, silences& all) {
      all.add();
      all.last().most_calls = 1;
      if (order != 0) close_all(loop);
      if (order == 2) uv_run(&loop, UV_RUN_DEFAULT);
      HOLDS(reaper.close(all.last().done()) == 0);
      HOLDS(*all.last().calls == 0);
      return 0;
    });
  }
}

TEST_CASE("close() calls done, too, where the program has closed the handles, and runs the loop on") {
  check_ends_well([](uvreap::reaper& reaper, uv_loop_t& loop, silences&) {
    for (bool has_run : {false, true}) {
      int done = 0;
      close_all(loop);
      if (has_run) uv_run(&loop, UV_RUN_DEFAULT);
      HOLDS(reaper.close([&] { ++done; }) == 0);
      HOLDS(done == 0);
      HOLDS(uv_run(&loop, UV_RUN_DEFAULT) == 0);
      HOLDS(done == 1);
      HOLDS(reaper.start() == 0);
    }
    return 0;
  });
}

TEST_CASE("a reaper whose handles the program has closed answers every call, and is closed without harm") {
  check_ends_well([](uvreap::reaper& reaper, uv_loop_t& loop, silences& all) {
    test::gate gate;
    test::message ready;
    pid_t watched = test::make_child([&] { return ready.say(), gate.wait(), 1; });
    pid_t other = test::make_child([&] { return ready.say(), gate.wait(), 1; });
    ready.wait();
    ready.wait();
    all.add();
    all.add();
    HOLDS(reaper.watch(watched, all[0].callback()) == 0);
    close_all(loop);
    HOLDS(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    (void)reaper.watch(other, {.on_change = [](const uvreap::child_change&) {}, .timeout = milliseconds(10)},
                       all[1].callback());
    HOLDS(reaper.kill(watched, 0) == 0);
    (void)reaper.terminate(watched, milliseconds(10));
    reaper.post_watch(1, [](const child_exit&) {});
    (void)reaper.detach(other);
    HOLDS(reaper.release(watched) == 0);
    (void)reaper.stats();
    HOLDS(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    gate.open(2);
    test::wait_until_ended(watched);
    test::wait_until_ended(other);
    return 0;
  });
}

TEST_CASE("a loop is ended by closing all handles while a child's output is captured") {
  check_ends_well([](uvreap::reaper& reaper, uv_loop_t& loop, silences& all) {
    all.add();
    uvreap::command command{.argv = {"sh", "-c", "echo one; echo two >&2; exec sleep 600"}};
    command.output = uvreap::stdio::captured(100);
    command.error_output = uvreap::stdio::captured(100);
    pid_t pid = 0;
    HOLDS(reaper.spawn(&pid, command, all.last().callback()) == 0);
    for (int turns = 0; turns < 3; ++turns) uv_run(&loop, UV_RUN_NOWAIT);
    HOLDS(reaper.kill(pid, SIGKILL) == 0);
    test::wait_until_ended(pid);
    return 0;
  });
}

TEST_CASE("a loop is ended by closing all handles while terminations are under way: no SIGKILL comes later") {
  check_ends_well([](uvreap::reaper& reaper, uv_loop_t& loop, silences& all) {
    for (bool leads_a_group : {false, true}) {
      all.add();
      test::gate is_ready_to_end;
      test::message ready;
      pid_t pid = test::make_child([&] {
        ::signal(SIGTERM, SIG_IGN);
        if (leads_a_group) ::setpgid(0, 0);
        ready.say();
        return is_ready_to_end.wait(), 0;
      });
      ready.wait();
      HOLDS(reaper.watch(pid, all.last().callback()) == 0);
      HOLDS(reaper.terminate(pid, milliseconds(1)) == 0);
      ::usleep(2000);  // the grace is over
      is_ready_to_end.open();
      test::wait_until_ended(pid);
    }
    uv_run(&loop, UV_RUN_NOWAIT);
    return 0;
  });
}

TEST_CASE("a loop is ended by closing all handles, with any() and unclaimed zombies in their grace") {
  auto options = test::options_of_this_run();
  options.children = uvreap::scope::any();
  options.on_unclaimed = [](const child_exit&) { std::abort(); };
  options.unclaimed_grace = std::chrono::minutes(1);
  check_ends_well(
      [](uvreap::reaper&, uv_loop_t& loop, silences&) {
        for (int i = 0; i < 3; ++i) test::wait_until_ended(test::make_child_exiting(i));
        for (int turns = 0; turns < 3; ++turns) uv_run(&loop, UV_RUN_NOWAIT);
        return 0;
      },
      options);
}

TEST_CASE("a loop is ended by closing all handles with each backend") {
  for (auto backend : {uvreap::backend_kind::automatic, uvreap::backend_kind::peek,
                       uvreap::backend_kind::pidfd, uvreap::backend_kind::ring}) {
    for (auto use :
         {uvreap::sigchld_use::always, uvreap::sigchld_use::when_needed, uvreap::sigchld_use::never}) {
      CAPTURE(static_cast<int>(backend));
      CAPTURE(static_cast<int>(use));
      auto options = test::options_of_this_run();
      options.backend = backend;
      options.sigchld = use;
      {
        uv_loop_t loop;
        REQUIRE(uv_loop_init(&loop) == 0);
        int error = 0;
        {
          uvreap::reaper probe(loop, options);
          error = probe.start();
        }
        uv_run(&loop, UV_RUN_DEFAULT);
        REQUIRE(uv_loop_close(&loop) == 0);
        if (error == UV_ENOTSUP) continue;
        REQUIRE(error == 0);
      }
      check_ends_well(
          [](uvreap::reaper& reaper, uv_loop_t& loop, silences& all) {
            all.add();
            test::gate gate;
            pid_t pid = test::make_child([&] { return gate.wait(), 1; });
            HOLDS(reaper.watch(pid, all.last().callback()) == 0);
            uv_run(&loop, UV_RUN_NOWAIT);
            gate.open();
            test::wait_until_ended(pid);
            return 0;
          },
          options);
    }
  }
}

TEST_CASE("two reapers on one loop, of which one is closed by its own call, end with it") {
  check_ends_well([](uvreap::reaper&, uv_loop_t& loop, silences&) {
    uvreap::reaper closed(loop, test::options_of_this_run());
    HOLDS(closed.start() == 0);
    HOLDS(closed.close() == 0);
    uvreap::reaper open(loop, test::options_of_this_run());
    HOLDS(open.start() == 0);
    test::wait_until_ended(test::make_child_exiting(1));
    close_all(loop);
    HOLDS(uv_run(&loop, UV_RUN_DEFAULT) == 0);
    return 0;
  });
}

TEST_CASE("handles that are closed inside a callback of the reaper's end the loop, too") {
  for (bool destroys : {false, true}) {
    CAPTURE(destroys);
    auto end = test::apart([destroys] {
      uv_loop_t loop;
      HOLDS(uv_loop_init(&loop) == 0);
      auto reaper = std::make_unique<uvreap::reaper>(loop, test::options_of_this_run());
      HOLDS(reaper->start() == 0);
      int calls = 0;
      for (int i = 0; i < 3; ++i) {
        pid_t pid = test::make_child_exiting(0);
        test::wait_until_ended(pid);
        auto tell = [&](const child_exit&) {
          if (++calls != 1) return;
          close_all(loop);
          if (destroys) reaper.reset();
        };
        HOLDS(reaper->watch(pid, tell) == 0);
      }
      uv_run(&loop, UV_RUN_DEFAULT);
      HOLDS(calls >= 1);
      if (destroys) HOLDS(calls == 1);
      reaper.reset();
      uv_run(&loop, UV_RUN_DEFAULT);
      HOLDS(uv_loop_close(&loop) == 0);
      return 0;
    });
    CHECK_MESSAGE(end.word == 0, end.said);
  }
}
