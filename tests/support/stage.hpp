// What nearly every test stands on: a loop, a reaper on it, and what must hold when the test is over.
//
//     TEST_CASE("a child that exits is told once") {
//       test::stage stage;
//       pid_t pid = test::make_child_exiting(3);
//       int told = 0;
//       REQUIRE(stage.reaper.watch(pid, [&](const uvreap::child_exit&) { ++told; }) == 0);
//       stage.run_until([&] { return told == 1; });
//     }                      // checks: no child left, no zombie, no descriptor more than before, loop closes
//
// The run's mode comes from the environment, so every test file runs in each of them (tests/meson.build):
//
// - UVREAP_TEST_SIGCHLD: always, when_needed or never. never, on peek: the poller alone finds exits.
// - UVREAP_TEST_BACKEND: peek, pidfd, ring or automatic.
// - UVREAP_TEST_RUNG: peek, pidfd or ring: what that comes to, where the kernel says no.
// - UVREAP_TEST_DRIVER: default or nowait. nowait: the loop is pumped.
#pragma once

#include <uv.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "children.hpp"
#include "truth_page.hpp"
#include "uvreap/reaper.hpp"

namespace test {

uvreap::options options_of_this_run();
bool poller_alone();            // this run has no SIGCHLD
bool hears_sigchld();           // this run's reaper listens to it as soon as a child is watched
bool names_exits();             // this run's backend says who ended (pidfd, ring)
bool pidfds_are_refused();      // by the kernel of this run, or valgrind
bool pumped();                  // this run pumps the loop
uvreap::notice usual_notice();  // what says first, in this run, that a watched child ended

class stage {
 public:
  explicit stage(uvreap::options = options_of_this_run());
  ~stage();
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;

 private:
  struct before {
    int descriptors;
    before();
  } before_;  // first, so it sees what was there before the loop

 public:
  uv_loop_t loop{};

 private:
  std::unique_ptr<uvreap::reaper> reaper_;

 public:
  uvreap::reaper& reaper;  // started
  void destroy_reaper() { reaper_.reset(); }

  // Turns the loop until the condition holds; fails the test if that takes longer than the limit (times
  // patience()).
  void run_until(const std::function<bool()>& condition,
                 std::chrono::milliseconds limit = std::chrono::seconds(60));
  void run_for(std::chrono::milliseconds);  // exactly that long, for "nothing happens"
  void turn();                              // one turn that does not sleep
  void run_dry();                           // uv_run until nothing holds the loop any more

  [[nodiscard]] bool turn_until(const std::function<bool()>& condition, std::chrono::milliseconds limit);

  // Children that the test leaves on purpose, for itself to wait for (then: no check for them).
  bool leaves_children = false;

 private:
  bool turn_within(const std::function<bool()>& condition, std::chrono::milliseconds limit);
};

}  // namespace test
