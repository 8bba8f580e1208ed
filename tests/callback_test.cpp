// What a callback may do: everything. It works on its own child, on others, on the loop, and on the reaper
// itself.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <vector>

#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

void not_to_be_told(const child_exit& exit) {
  FAIL_CHECK("told of ", exit.pid, ", which nobody may hear of");
}

pid_t ended_child(int code) {
  pid_t pid = test::make_child_exiting(code);
  test::wait_until_ended(pid);
  return pid;
}

std::set<pid_t> ended_children(int count) {
  std::set<pid_t> pids;
  while (static_cast<int>(pids.size()) < count) pids.insert(ended_child(3));
  return pids;
}

// How deep the stack is, wherever a sanitizer keeps the local variables.
std::uintptr_t stack_pointer() { return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)); }

}  // namespace

TEST_CASE("inside its callback a child is nobody's any more") {
  test::stage stage;
  pid_t pid = ended_child(3);
  std::vector<int> answers;
  auto tell = [&](const child_exit& exit) {
    answers = {stage.reaper.release(exit.pid), stage.reaper.detach(exit.pid), stage.reaper.kill(exit.pid, 0),
               stage.reaper.watch(exit.pid, not_to_be_told)};
  };
  REQUIRE(stage.reaper.watch(pid, tell) == 0);
  stage.run_until([&] { return !answers.empty(); });
  stage.run_for(milliseconds(30));
  CHECK(answers == std::vector<int>(4, UV_ESRCH));
}

TEST_CASE("a callback may release and forget children that live") {
  test::stage stage;
  test::gate gate;
  pid_t released = test::make_child([&] { return gate.wait(), 1; });
  pid_t forgotten = test::make_child([&] { return gate.wait(), 2; });
  pid_t first = ended_child(3);
  bool told = false;
  REQUIRE(stage.reaper.watch(released, not_to_be_told) == 0);
  REQUIRE(stage.reaper.watch(forgotten, not_to_be_told) == 0);
  auto tell = [&](const child_exit&) {
    CHECK(stage.reaper.release(released) == 0);
    CHECK(stage.reaper.detach(forgotten) == 0);
    told = true;
  };
  REQUIRE(stage.reaper.watch(first, tell) == 0);
  stage.run_until([&] { return told; });
  gate.open(2);
  stage.run_until([&] { return stage.reaper.stats().reaped == 2; });
  int word = -1;
  CHECK(::waitpid(released, &word, 0) == released);
  CHECK(word == test::exited_with(1));
}

TEST_CASE("a callback may forget those that are told next, but releases them too late") {
  for (bool forgets : {true, false}) {
    CAPTURE(forgets);
    auto options = test::options_of_this_run();
    options.budget_time = std::chrono::seconds(10);  // all in one pass, on a slow machine too
    test::stage stage(options);
    std::set<pid_t> pids = ended_children(10);
    int told = 0;
    auto tell = [&](const child_exit& exit) {
      if (++told != 1) return;
      for (pid_t pid : pids) {
        if (pid == exit.pid) continue;
        int answer = forgets ? stage.reaper.detach(pid) : stage.reaper.release(pid);
        CHECK(answer == (forgets ? 0 : UV_EALREADY));
      }
    };
    for (pid_t pid : pids) REQUIRE(stage.reaper.watch(pid, tell) == 0);
    while (stage.reaper.stats().reaped != 10) stage.turn();
    stage.run_for(milliseconds(30));
    CHECK(told == (forgets ? 1 : 10));
  }
}

TEST_CASE("a long chain of children, each forked and watched in the callback before, keeps the stack flat") {
  const int length = test::poller_alone() ? 200 : 2000;  // there each link waits for a tick
  test::stage stage;
  int told = 0;
  std::uintptr_t deepest = UINTPTR_MAX;
  std::uintptr_t highest = 0;
  uvreap::callback next = [&](const child_exit& exit) {
    CHECK(exit.status.raw() == test::exited_with(told & 0x7f));
    deepest = std::min(deepest, stack_pointer());
    highest = std::max(highest, stack_pointer());
    if (++told == length) return;
    pid_t pid = 0;
    REQUIRE(stage.reaper.fork(
                &pid, [told] { return told & 0x7f; }, next) == 0);
  };
  pid_t first = 0;
  REQUIRE(stage.reaper.fork(
              &first, [] { return 0; }, next) == 0);
  stage.run_until([&] { return told == length; }, std::chrono::seconds(120));
  CHECK(highest - deepest < 4096);
}

TEST_CASE("a chain of ended children, each watched in the callback before, lets the loop do other things") {
  test::stage stage;
  std::set<pid_t> waiting = ended_children(200);
  int told = 0;
  int turns_seen = 0;
  uv_check_t counter;
  uv_check_init(&stage.loop, &counter);
  counter.data = &turns_seen;
  uv_check_start(&counter, [](uv_check_t* check) { ++*static_cast<int*>(check->data); });
  uvreap::callback next = [&](const child_exit&) {
    ++told;
    if (waiting.empty()) return;
    pid_t pid = *waiting.begin();
    waiting.erase(pid);
    REQUIRE(stage.reaper.watch(pid, next) == 0);
  };
  next(child_exit{});
  stage.run_until([&] { return told == 201; });
  CHECK(turns_seen >= 200);  // none is told in the turn that watched it
  uv_close(reinterpret_cast<uv_handle_t*>(&counter), nullptr);
  stage.turn();
}

TEST_CASE("a callback may run system() and wait for another child, and each gets its own status") {
  test::stage stage;
  pid_t mine = ended_child(11);
  pid_t watched = ended_child(12);
  int told = 0;
  int from_system = -1;
  int from_waitpid = -1;
  auto tell = [&](const child_exit& exit) {
    from_system = std::system("exit 7");
    CHECK(::waitpid(mine, &from_waitpid, 0) == mine);
    CHECK(exit.status.raw() == test::exited_with(12));
    ++told;
  };
  REQUIRE(stage.reaper.watch(watched, tell) == 0);
  stage.run_until([&] { return told == 1; });
  CHECK(from_system == test::exited_with(7));
  CHECK(from_waitpid == test::exited_with(11));
}

TEST_CASE("a callback that takes the status of a watched child makes that one lost, once") {
  test::stage stage;
  test::gate gate;
  pid_t stolen = test::make_child([&] { return gate.wait(), 1; });
  pid_t thief = ended_child(2);
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(stolen, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  auto steal = [&](const child_exit&) {
    gate.open();
    CHECK(::waitpid(stolen, nullptr, 0) == stolen);
  };
  REQUIRE(stage.reaper.watch(thief, steal) == 0);
  stage.run_until([&] { return !told.empty(); });
  stage.run_for(milliseconds(60));
  REQUIRE(told.size() == 1);
  CHECK(told[0].lost != told[0].recovered);  // the kernel may still tell it, on the rung pidfd
}

TEST_CASE("a callback may stop the loop: uv_run returns, and the next one tells the rest") {
  test::stage stage;
  std::set<pid_t> pids = ended_children(20);
  int told = 0;
  for (pid_t pid : pids) {
    auto tell = [&](const child_exit&) { ++told, uv_stop(&stage.loop); };
    REQUIRE(stage.reaper.watch(pid, tell) == 0);
  }
  int runs = 0;
  while (told != 20 && runs < 1000) {
    ++runs;
    uv_run(&stage.loop, UV_RUN_DEFAULT);
  }
  CHECK(told == 20);
}

TEST_CASE("a callback may close the reaper: nobody is told after that, and the living are ours") {
  test::stage stage;
  test::gate gate;
  std::set<pid_t> pids = ended_children(10);
  pid_t living = test::make_child([&] { return gate.wait(), 4; });
  int told = 0;
  bool done = false;
  REQUIRE(stage.reaper.watch(living, not_to_be_told) == 0);
  for (pid_t pid : pids) {
    auto tell = [&](const child_exit&) {
      ++told;
      CHECK(stage.reaper.close([&] { done = true; }) == 0);
      CHECK(stage.reaper.kill(living, SIGKILL) == UV_EINVAL);
    };
    REQUIRE(stage.reaper.watch(pid, tell) == 0);
  }
  stage.run_until([&] { return done; });
  gate.open();
  test::wait_until_ended(living);
  stage.run_for(milliseconds(60));
  CHECK(told == 1);
  int word = -1;
  CHECK(::waitpid(living, &word, 0) == living);
  CHECK(word == test::exited_with(4));
  // How many were collected with the first is the machine's business; the others are ours, too.
  for (pid_t pid : pids) (void)::waitpid(pid, nullptr, WNOHANG);
}

TEST_CASE("a callback may close the reaper and start it again") {
  test::stage stage;
  test::gate gate;
  pid_t living = test::make_child([&] { return gate.wait(), 4; });
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(living, not_to_be_told) == 0);
  auto restart = [&](const child_exit&) {
    CHECK(stage.reaper.close() == 0);
    CHECK(stage.reaper.start() == 0);
    CHECK(stage.reaper.watch(living, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
    gate.open();
  };
  REQUIRE(stage.reaper.watch(ended_child(3), restart) == 0);
  stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].pid == living);
  CHECK(told[0].status.exit_code() == 4);
}

TEST_CASE("a callback may destroy the reaper: no callback comes after that") {
  test::stage stage;
  std::set<pid_t> pids = ended_children(10);
  int told = 0;
  for (pid_t pid : pids) {
    auto tell = [&](const child_exit&) { ++told, stage.destroy_reaper(); };
    REQUIRE(stage.reaper.watch(pid, tell) == 0);
  }
  stage.run_for(milliseconds(60));
  CHECK(told == 1);
  test::clean_up_children();  // those that no pass had looked at are ours
}

TEST_CASE("a callback for changes may close the reaper") {
  test::stage stage;
  int told = 0;
  pid_t pid = test::make_child([] { return ::raise(SIGSTOP); });
  auto on_change = [&](const uvreap::child_change&) {
    ++told;
    CHECK(stage.reaper.close() == 0);
  };
  REQUIRE(stage.reaper.watch(pid, {.on_change = on_change}, not_to_be_told) == 0);
  stage.run_until([&] { return told == 1; });
  REQUIRE(::kill(pid, SIGCONT) == 0);
  stage.run_for(milliseconds(60));
  CHECK(told == 1);
  CHECK(::waitpid(pid, nullptr, 0) == pid);
}
