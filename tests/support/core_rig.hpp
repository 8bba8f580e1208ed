// A core over the fake kernel, on a loop that does not run: the test wakes it, sweeps, and finds noted what
// was delivered.
//
//     test::core_rig rig;
//     pid_t pid = rig.kernel.born();
//     REQUIRE(rig.watch(pid) == 0);
//     rig.kernel.ends(pid, test::exited_with(3));
//     rig.wake(uvreap::notice::sigchld);
//     rig.settle();
//     CHECK(rig.delivered_once(pid).status.raw() == test::exited_with(3));
#pragma once

#include <doctest/doctest.h>
#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "fake_kernel.hpp"
#include "reaper/core.hpp"

namespace test {

// By what it can be told whether a number is still the child's that was watched.
enum class known_by { held_pidfd, inode, start_time, number };

// As a reaper's, but for peek as the backend, no SIGCHLD handle and no idle poller: the test wakes.
[[nodiscard]] uvreap::options with_budget(int count);

class core_rig {
 public:
  explicit core_rig(uvreap::options = with_budget(64), known_by = known_by::start_time);
  explicit core_rig(known_by how) : core_rig(with_budget(64), how) {}
  core_rig(fake_kernel& shared, uvreap::options);  // another reaper of the same process
  ~core_rig();
  core_rig(const core_rig&) = delete;
  core_rig& operator=(const core_rig&) = delete;

  // As the public calls, 0 or UV_E*. then runs after the exit was noted.
  int watch(pid_t, uvreap::callback then = {});
  int watch_changes(pid_t, std::function<void()> then = {});
  int watch_until(std::chrono::milliseconds timeout, pid_t);
  int reserve(pid_t);                                            // a watch with an empty callback
  int watch_as(pid_t, uvreap::watch_options, uvreap::callback);  // with nothing noted
  void post_watch(pid_t);  // which the core has when the loop has turned
  int release(pid_t pid) { return core->release(pid); }
  int detach(pid_t pid) { return core->detach(pid); }
  void close();

  pid_t born_watched();
  std::vector<pid_t> born_watched(int count);
  void end_all(const std::vector<pid_t>&);  // each exits with a code made of its pid

  void wake(uvreap::notice who) { core->wake(who); }
  bool sweep() { return core->on_time(), core->sweep(); }  // the clock of the fake kernel rings no timer
  // Sweeps until one leaves nothing to do; how many there were. Fails the test beyond the limit.
  int settle(int limit = 100'000);
  void find(uvreap::notice who) {
    wake(who);
    settle();
  }

  [[nodiscard]] const std::vector<uvreap::child_exit>& delivered(pid_t pid) { return delivered_[pid]; }
  [[nodiscard]] uvreap::child_exit delivered_once(pid_t);  // fails the test if it was not exactly once
  [[nodiscard]] const std::vector<uvreap::child_exit>& all_delivered() const { return all_delivered_; }
  [[nodiscard]] const std::vector<uvreap::child_change>& changes() const { return changes_; }
  [[nodiscard]] uvreap::statistics stats() const { return core->stats(); }
  [[nodiscard]] bool holds_the_loop();

 private:
  uvreap::callback noting(uvreap::callback);

  std::unique_ptr<fake_kernel> own_;

 public:
  fake_kernel& kernel;
  uv_loop_t loop{};
  uvreap::options options;
  std::shared_ptr<uvreap::inbox> inbox = std::make_shared<uvreap::inbox>();
  std::shared_ptr<uvreap::core> core;

 private:
  void open();

  std::size_t taken_pidfds_ = 0;  // held by nobody, so that none is left for others
  bool is_closed_ = false;
  std::map<pid_t, std::vector<uvreap::child_exit>> delivered_;
  std::vector<uvreap::child_exit> all_delivered_;
  std::vector<uvreap::child_change> changes_;
};

constexpr int exited_with(int code) { return (code & 0xff) << 8; }
constexpr int stopped_by(int signum) { return (signum << 8) | 0x7f; }
constexpr int was_continued = 0xffff;
constexpr int word_of(pid_t pid) { return exited_with(pid % 251); }

}  // namespace test
