// Beside any(): whoever waits for its own child gets its status, on the main thread within the grace and on
// other threads whatever the grace. The controls show that any() does take what nobody protects.
#include <doctest/doctest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "support/loop_handle.hpp"
#include "support/orphans.hpp"
#include "support/own_process.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using test::place;
using uvreap::child_exit;

namespace {

const milliseconds default_grace = uvreap::options{}.unclaimed_grace;

pid_t spawn_exiting(const char* script) {
  const char* arguments[] = {"sh", "-c", script, nullptr};
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, "/bin/sh", nullptr, nullptr, const_cast<char**>(arguments), environ);
  return error == 0 ? pid : -1;
}

// Each says whether its child's own status came back.
bool by_system() { return ::system("exit 7") == test::exited_with(7); }

bool by_popen() {
  FILE* pipe = ::popen("exit 7", "r");
  return pipe != nullptr && ::pclose(pipe) == test::exited_with(7);
}

bool by_posix_spawn() {
  pid_t pid = spawn_exiting("exit 7");
  int word = 0;
  return pid > 0 && ::waitpid(pid, &word, 0) == pid && word == test::exited_with(7);
}

struct uv_child {
  uv_process_t process{};
  bool told = false;
  std::int64_t code = -1;

  bool spawn(uv_loop_t& loop) {
    char shell[] = "/bin/sh", flag[] = "-c", script[] = "exit 7";
    char* arguments[] = {shell, flag, script, nullptr};
    uv_process_options_t options{};
    options.file = shell;
    options.args = arguments;
    options.exit_cb = [](uv_process_t* ended, std::int64_t code, int) {
      auto* self = static_cast<uv_child*>(ended->data);
      self->told = true;
      self->code = code;
      uv_close(reinterpret_cast<uv_handle_t*>(ended), nullptr);
    };
    process.data = this;
    return uv_spawn(&loop, &process, &options) == 0;
  }
};

bool by_uv_spawn(uv_loop_t& loop) {
  uv_child child;
  if (!child.spawn(loop)) return false;
  uv_run(&loop, UV_RUN_DEFAULT);
  return child.told && child.code == 7;
}

// So many of each kind in a thread of its own, which owns a loop too; how many did not get their status.
int failures_in_a_thread(int of_each) {
  int failures = 0;
  uv_loop_t loop;
  uv_loop_init(&loop);
  for (int i = 0; i < of_each; ++i) {
    failures += by_system() ? 0 : 1;
    failures += by_popen() ? 0 : 1;
    failures += by_posix_spawn() ? 0 : 1;
    failures += by_uv_spawn(loop) ? 0 : 1;
  }
  return failures + (uv_loop_close(&loop) == 0 ? 0 : 1);
}

// A child that is gone by the time the loop has turned some times: did we still get its status? Where the
// machine was so slow that the grace ran out, that proves nothing, and is not counted.
struct tally {
  int ours = 0;
  int taken = 0;
};

void wait_late(test::stage& stage, pid_t pid, milliseconds grace, tally& count) {
  test::stopwatch since_before_its_end;
  test::wait_until_ended(pid);
  for (int turns = 0; turns < 10; ++turns) stage.turn();
  int word = 0;
  bool ours = ::waitpid(pid, &word, 0) == pid && word == test::exited_with(7);
  if (!ours && since_before_its_end.elapsed() > grace * 9 / 10) return;
  ++(ours ? count.ours : count.taken);
}

}  // namespace

TEST_CASE(
    "on the main thread system, popen and posix_spawn get their own statuses, in calls between the turns") {
  std::vector<child_exit> told;
  test::stage stage(test::any_options(default_grace, &told));
  auto alive =
      test::on_prepare(stage.loop, [] {});  // any() does not hold the loop, and uv_run would not turn
  int failures = 0;
  for (int i = 0; i < 300; ++i) {
    failures += by_system() ? 0 : 1;
    stage.turn();
    failures += by_popen() ? 0 : 1;
    stage.turn();
    failures += by_posix_spawn() ? 0 : 1;
    stage.turn();
  }
  CHECK(failures == 0);
  CHECK(told.empty());
}

TEST_CASE(
    "on the main thread a child that is waited for within the grace is its owner's, however often the loop "
    "turned") {
  test::stage stage(test::any_options(default_grace, nullptr));
  auto alive = test::on_prepare(stage.loop, [] {});
  tally count;
  for (int i = 0; i < 300; ++i) wait_late(stage, test::make_child_exiting(7), default_grace, count);
  CHECK(count.taken == 0);
  CHECK(count.ours > 200);
}

TEST_CASE("on the main thread a zombie that nobody waits for within the grace is taken") {
  for (milliseconds grace : {milliseconds(0), milliseconds(100)}) {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(grace, &told));
    pid_t pid = test::make_child_exiting(7);
    stage.run_until([&] { return told.size() == 1; });
    CHECK(told[0].status.exit_code() == 7);
    CHECK(::waitpid(pid, nullptr, 0) == -1);
  }
}

TEST_CASE("uv_spawn on the same loop gets every exit, at the default grace and at none") {
  for (milliseconds grace : {milliseconds(0), default_grace}) {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(grace, &told));
    int wrong = 0;
    for (int wave = 0; wave < 15; ++wave) {
      std::vector<uv_child> children(20);
      for (uv_child& child : children) REQUIRE(child.spawn(stage.loop));
      stage.run_until([&] {
        for (const uv_child& child : children) {
          if (!child.told) return false;
        }
        return true;
      });
      for (const uv_child& child : children) wrong += child.code == 7 ? 0 : 1;
    }
    CHECK(wrong == 0);
    CHECK(told.empty());
  }
}

TEST_CASE("a child of uv_spawn is its handle's, also while libuv has not heard of its end") {
  for (milliseconds grace : {milliseconds(0), default_grace}) {
    std::vector<child_exit> told;
    auto options = test::any_options(grace, &told);
    options.poll_every = milliseconds(20);  // which finds the zombie, where SIGCHLD is blocked
    test::stage stage(options);
    uv_child child;
    REQUIRE(child.spawn(stage.loop));
    sigset_t sigchld;
    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    ::pthread_sigmask(SIG_BLOCK, &sigchld, nullptr);
    test::wait_until_ended(child.process.pid);
    stage.run_for(grace + milliseconds(200));
    ::pthread_sigmask(SIG_UNBLOCK, &sigchld, nullptr);
    CHECK(told.empty());
    ::raise(SIGCHLD);
    stage.run_until([&] { return child.told; }, std::chrono::seconds(5));
    CHECK(child.code == 7);
  }
}

TEST_CASE("what four other threads fork and wait for is never taken, at no grace at all") {
  test::apart(place::subreaper, [] {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(milliseconds(0), &told));
    std::atomic<int> failures{0};
    std::atomic<int> running{4};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        failures += failures_in_a_thread(250);
        --running;
      });
    }
    // Orphans keep any() busy meanwhile.
    int made = 0;
    while (running > 0) {
      test::orphans orphans(5);
      orphans.make();
      orphans.let_end();
      std::size_t before = told.size();
      stage.run_until([&] { return told.size() == before + 5; });
      orphans.check({told.end() - 5, told.end()});
      made += 5;
    }
    for (auto& thread : threads) thread.join();
    CHECK(failures == 0);
    CHECK(told.size() == static_cast<std::size_t>(made));
  });
}

TEST_CASE("off the main thread any() has only the grace: without one it takes a child of another thread") {
  test::apart(place::plain, [] {
    test::gate gate;
    pid_t pid = test::make_child([&] { return gate.wait(), 7; });  // the main thread's
    std::vector<child_exit> told;
    std::thread([&] {
      test::stage stage(test::any_options(milliseconds(0), &told));
      stage.leaves_children = true;
      gate.open();
      stage.run_until([&] { return told.size() == 1; });
    }).join();
    CHECK(told[0].pid == pid);
    CHECK(::waitpid(pid, nullptr, 0) == -1);
  });
}

TEST_CASE("off the main thread orphans are told too") {
  for (milliseconds grace : {milliseconds(0), milliseconds(100)}) {
    test::apart(place::subreaper, [grace] {
      test::orphans orphans(20);
      orphans.make();
      std::thread([&] {
        std::vector<child_exit> told;
        test::stage stage(test::any_options(grace, &told));
        orphans.let_end();
        stage.run_until([&] { return told.size() == 20; });
        orphans.check(told);
      }).join();
    });
  }
}

TEST_CASE("the main thread's children that a reaper of another thread watches are never taken") {
  std::vector<child_exit> unclaimed;
  test::stage stage(test::any_options(milliseconds(0), &unclaimed));
  std::atomic<int> told{0};
  std::atomic<int> wrong{0};
  std::atomic<uvreap::reaper*> watching{nullptr};
  std::atomic<bool> asleep{false};  // its loop does not turn: the zombies stand there for a while
  std::atomic<bool> over{false};
  std::thread other([&] {
    uv_loop_t loop;
    uv_loop_init(&loop);
    {
      uvreap::reaper beside(loop, test::options_of_this_run());
      if (beside.start() != 0) ++wrong;
      watching = &beside;
      auto alive = test::on_prepare(loop, [] {});  // nothing else holds it, and uv_run would not turn
      while (!over) {
        if (!asleep) uv_run(&loop, UV_RUN_NOWAIT);
        ::usleep(200);
      }
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  });
  while (watching == nullptr) ::usleep(100);

  test::gate gate;
  constexpr int count = 200;
  for (int i = 0; i < count; ++i) {
    pid_t pid = test::make_child([&] { return gate.wait(), 3; });
    watching.load()->post_watch(pid, [&](const child_exit& exit) {
      if (exit.lost || exit.status.exit_code() != 3) ++wrong;
      ++told;
    });
  }
  stage.run_for(milliseconds(300));  // they are watched by now
  asleep = true;
  gate.open(count);
  stage.run_for(milliseconds(200));
  asleep = false;
  // In steps: what another thread is told does not wake this loop.
  for (int steps = 0; steps < 2000 && told != count; ++steps) stage.run_for(milliseconds(10));
  over = true;
  other.join();
  CHECK(told.load() == count);
  CHECK(wrong.load() == 0);
  CHECK(unclaimed.size() == 0);
}
