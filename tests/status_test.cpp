// How a child can exit, told bit for bit.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "support/endings.hpp"

using test::endings;
using uvreap::child_exit;

TEST_CASE("every exit code from 0 to 255 is told as itself") {
  test::stage stage;
  endings all(stage, 256);
  for (int code = 0; code < 256; ++code) {
    all.add(code, test::exited_with(code), [code] { ::_exit(code); });
  }
  all.run();
  for (int code = 0; code < 256; ++code) {
    all.check(code);
    CHECK(all.told(code).status.exit_code() == code);
    CHECK(all.told(code).status.success() == (code == 0));
  }
}

TEST_CASE("of a larger or negative code the kernel keeps the low eight bits") {
  test::stage stage;
  endings all(stage, 9);
  int slot = 0;
  for (auto [code, kept] : {std::pair{256, 0}, {-1, 255}, {345, 89}}) {
    all.add(slot, test::exited_with(kept), [code = code] { ::_exit(code); });
    CHECK(test::word_without_reaper([code = code] { ::_exit(code); }) == test::exited_with(kept));
    ++slot;
    for (bool by_exit : {true, false}) {
      // Through the library's own fork, where exit(3) may be called, and where a returned code becomes
      // _exit(2)'s.
      auto main_of_child = [code = code, by_exit] { return by_exit ? (::exit(code), test::survived) : code; };
      int told = -1;
      pid_t pid = 0;
      REQUIRE(stage.reaper.fork(&pid, main_of_child,
                                [&](const child_exit& exit) { told = exit.status.raw(); }) == 0);
      stage.run_until([&] { return told != -1; });
      CHECK(told == test::exited_with(kept));
    }
  }
  all.run();
  for (int checked = 0; checked < slot; ++checked) all.check(checked);
}

TEST_CASE("the wait word comes through bit for bit, as without a reaper") {
  test::stage stage;
  const std::vector<std::function<void()>> ends = {
      [] { ::_exit(0); },
      [] { ::_exit(127); },
      [] { ::_exit(128 + 9); },  // what a shell would fold a signal into is a code here, and stays one
      [] { test::die_without_core(SIGKILL); },
      [] { test::die_without_core(SIGABRT); },
      [] { test::die_without_core(SIGRTMIN); },
  };
  endings all(stage, static_cast<int>(ends.size()));
  int slot = 0;
  for (const auto& end : ends) all.add(slot++, test::word_without_reaper(end), end);
  all.run();
  for (int checked = 0; checked < slot; ++checked) all.check(checked);
}

TEST_CASE("an _exit in a second thread of the child is one end, with that code") {
  test::stage stage;
  endings all(stage, 1);
  all.add(0, test::exited_with(42), [] {
    std::thread second([] { ::_exit(42); });
    for (;;) ::pause();
  });
  all.run();
  all.check(0);
}

TEST_CASE("a child whose first thread is gone lives until its last one ends") {
  // Its first thread is a zombie in /proc, and no wait gives it: pidfd_open(2) and wait(2) mean the whole
  // process.
  test::stage stage;
  test::gate gate;
  std::vector<child_exit> told;
  pid_t pid = test::make_child([&gate] {
    std::thread second([&gate] {
      gate.wait();
      ::_exit(6);
    });
    ::syscall(SYS_exit, 5);
    return test::survived;
  });
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  while (!test::zombies().contains(pid)) stage.turn();
  stage.run_for(std::chrono::milliseconds(50));
  CHECK(told.empty());

  gate.open();
  stage.run_until([&] { return !told.empty(); });
  REQUIRE(told.size() == 1);
  CHECK(told[0].status.raw() == test::exited_with(6));
}

TEST_CASE("a signal sent to a zombie changes nothing about how it ended") {
  test::stage stage;
  for (int slot : {0, 1}) {
    pid_t pid = test::make_child_exiting(5 + slot);
    test::wait_until_ended(pid);
    if (slot == 0) CHECK(::kill(pid, SIGKILL) == 0);  // killed before it is watched, and after
    std::vector<child_exit> told;
    REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
    if (slot == 1) CHECK(stage.reaper.kill(pid, SIGKILL) == 0);
    stage.run_until([&] { return !told.empty(); });
    REQUIRE(told.size() == 1);
    CHECK(told[0].status.raw() == test::exited_with(5 + slot));
  }
}
