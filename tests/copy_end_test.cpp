// How a forked copy ends: through exit(), which libuv's destructor makes deadly (libuv #4443), and in a pid
// namespace where it has its parent's number.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "support/apart.hpp"
#include "support/immediate_exit.hpp"
#include "support/stage.hpp"
#include "uvreap/process.hpp"

using uvreap::child_exit;

namespace {

// Makes libuv's thread pool, whose threads a forked child does not have.
void use_the_thread_pool(uv_loop_t& loop) {
  uv_work_t work;
  uv_queue_work(
      &loop, &work, [](uv_work_t*) {}, [](uv_work_t*, int) {});
  uv_run(&loop, UV_RUN_DEFAULT);
}

int* exit_functions_run = nullptr;

// A raw clone: glibc's fork cannot make a pid namespace. Without CLONE_VM it is a fork.
pid_t clone_into_a_pid_namespace() {
  return static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

int in_a_copy_with_our_number(uvreap::reaper& reaper, pid_t watched) {
  HOLDS(::getpid() == 1);
  HOLDS(reaper.watch(watched, [](const child_exit&) {}) == UV_EPERM);
  HOLDS(reaper.release(watched) == UV_EPERM);
  HOLDS(reaper.stats() == uvreap::statistics{});
  reaper.~reaper();  // the process ends by _exit, so nobody destroys it again
  return 0;
}

// The first process of a namespace, which has a reaper and makes a copy that is the first of another.
int as_first_of_a_namespace() {
  HOLDS(::getpid() == 1);
  uv_loop_t loop;
  HOLDS(uv_loop_init(&loop) == 0);
  {
    test::gate gate;
    int told = 0;
    pid_t pid = 0;
    uvreap::reaper reaper(loop, test::options_of_this_run());
    HOLDS(reaper.start() == 0);
    auto tell = [&](const child_exit& exit) { told = exit.status.exit_code(); };
    HOLDS(reaper.fork(
              &pid, [&] { return gate.wait(), 8; }, tell) == 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    auto end =
        test::apart([&] { return in_a_copy_with_our_number(reaper, pid); }, clone_into_a_pid_namespace);
    std::fputs(end.said.c_str(), stderr);
    HOLDS(end.word == 0);
    gate.open();
    uv_run(&loop, UV_RUN_DEFAULT);
    HOLDS(told == 8);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(uv_loop_close(&loop) == 0);
  return 0;
}

}  // namespace

TEST_CASE(
    "a child of uvreap::fork may call exit: its code is told, and no exit function of the parent's runs" *
    test::needs_immediate_exit) {
  test::stage stage;
  use_the_thread_pool(stage.loop);
  void* shared = ::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared != MAP_FAILED);
  exit_functions_run = static_cast<int*>(shared);
  REQUIRE(std::atexit([] { ++*exit_functions_run; }) == 0);
  int told = 0;
  for (int i = 0; i < 10; ++i) {
    pid_t pid = 0;
    auto tell = [&, i](const child_exit& exit) {
      told += exit.status.raw() == test::exited_with(i) ? 1 : 100;
    };
    REQUIRE(stage.reaper.fork(
                &pid, [i]() -> int { std::exit(i); }, tell) == 0);
  }
  pid_t pid = 0;
  REQUIRE(uvreap::fork(&pid) == 0);
  if (pid == 0) std::exit(10);
  auto tell = [&](const child_exit& exit) { told += exit.status.raw() == test::exited_with(10) ? 1 : 100; };
  REQUIRE(stage.reaper.watch(pid, tell) == 0);
  stage.run_until([&] { return told >= 11; });
  CHECK(told == 11);
  CHECK(*exit_functions_run == 0);
}

TEST_CASE("a copy is known as one in a pid namespace where its number is its parent's") {
  auto try_one = [] {
    pid_t pid = clone_into_a_pid_namespace();
    if (pid == 0) ::_exit(0);
    return pid;
  };
  pid_t probe = try_one();
  if (probe < 0) {
    MESSAGE("SKIP: no pid namespace is to be had: ", errno);
    return;
  }
  CHECK(::waitpid(probe, nullptr, 0) == probe);
  auto end = test::apart(as_first_of_a_namespace, clone_into_a_pid_namespace);
  CHECK_MESSAGE(end.word == 0, end.said);
}
