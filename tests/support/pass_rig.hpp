// A pass with all it works on, over the fake kernel and without a loop: what running.cpp does around it, in
// the same order, and a note of everything that was told.
//
//     test::pass_rig rig;
//     pid_t pid = rig.kernel.born();
//     rig.watch(pid);
//     rig.kernel.ends(pid, test::exited_with(3));
//     rig.pass.hear(uvreap::notice::sigchld);
//     rig.settle();
//     CHECK(rig.told_once(pid).status.raw() == test::exited_with(3));
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "backends/peek.hpp"
#include "fake_kernel.hpp"
#include "reaper/sweep.hpp"
#include "child/ready_list.hpp"
#include "os/claims.hpp"
#include "child/watch_table.hpp"

namespace test {

inline uvreap::options with_budget(int count) {
  uvreap::options options;
  options.budget = count;
  return options;
}

class pass_rig {
 public:
  explicit pass_rig(uvreap::options = {});
  ~pass_rig();
  pass_rig(const pass_rig&) = delete;
  pass_rig& operator=(const pass_rig&) = delete;

  // As the public calls, 0 or UV_E*. told runs after the exit was noted.
  int watch(pid_t, uvreap::callback told = {});
  int watch_changes(pid_t);
  int reserve(pid_t);                  // a watch with an empty callback
  int watch_as(pid_t, uvreap::watch);  // with nothing noted
  int release(pid_t);
  int detach(pid_t);

  pid_t born_watched();
  std::vector<pid_t> born_watched(int count);
  void end_all(const std::vector<pid_t>&);  // each exits with a code made of its pid

  // Runs passes until one leaves nothing to do; how many ran. Fails the test beyond the limit.
  int settle(int limit = 100'000);

  [[nodiscard]] const std::vector<uvreap::child_exit>& told(pid_t pid) { return told_[pid]; }
  [[nodiscard]] uvreap::child_exit told_once(pid_t);  // fails the test if it was not exactly once
  [[nodiscard]] const std::vector<uvreap::child_exit>& all_told() const { return all_told_; }
  [[nodiscard]] const std::vector<uvreap::child_change>& changes() const { return changes_; }

  fake_kernel kernel;
  uvreap::options options;
  uvreap::statistics stats;
  uvreap::registry& all;
  uvreap::exit_index_peek backend;
  uvreap::watch_table table;
  uvreap::ready_list ready;
  uvreap::pass pass;

 private:
  uvreap::callback noting(uvreap::callback);

  std::map<pid_t, std::vector<uvreap::child_exit>> told_;
  std::vector<uvreap::child_exit> all_told_;
  std::vector<uvreap::child_change> changes_;
};

constexpr int exited_with(int code) { return (code & 0xff) << 8; }
constexpr int stopped_by(int signum) { return (signum << 8) | 0x7f; }
constexpr int was_continued = 0xffff;
constexpr int word_of(pid_t pid) { return exited_with(pid % 251); }

}  // namespace test
