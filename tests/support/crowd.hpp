// Watched children behind one gate, each with a code of its own, and what was told of them.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <functional>
#include <vector>

#include "stage.hpp"

namespace test {

class crowd {
 public:
  crowd(stage& stage, int size) : stage_(stage), told_(static_cast<std::size_t>(size)) {
    for (int i = 0; i < size; ++i) {
      pid_t pid = make_child([this, i] { return gate_.wait(), i; });
      pids_.push_back(pid);
      REQUIRE(stage.reaper.watch(pid, [this, pid, i](const uvreap::child_exit& exit) {
        ++told_[static_cast<std::size_t>(i)];
        ++count_;
        if (exit.lost) ++lost_;
        if (exit.pid != pid || exit.status.raw() != exited_with(i)) ++wrong_;
        if (exit.noticed_by == uvreap::notice::poller) ++by_poller_;
        if (on_told) on_told();
      }) == 0);
    }
  }

  std::function<void()> on_told;

  void let_one_go() { gate_.open(); }
  void end_one() {  // there is one zombie more when it returns, if nobody reaps meanwhile
    auto ended_before = zombies().size();
    let_one_go();
    while (zombies().size() == ended_before) ::usleep(100);
  }
  void end() {  // they are zombies when it returns
    gate_.open(size());
    for (pid_t pid : pids_) wait_until_ended(pid);
  }

  [[nodiscard]] int told() const { return count_; }
  [[nodiscard]] int by_poller() const { return by_poller_; }
  [[nodiscard]] int size() const { return static_cast<int>(pids_.size()); }
  [[nodiscard]] bool complete() const { return count_ == size(); }
  [[nodiscard]] const std::vector<pid_t>& pids() const { return pids_; }

  void check_each_told_once() {
    stage_.run_until([&] { return complete(); });
    stage_.run_for(std::chrono::milliseconds(30));
    CHECK(told_ == std::vector<int>(told_.size(), 1));
    CHECK(wrong_ == 0);
    CHECK(lost_ == 0);
  }

 private:
  stage& stage_;
  gate gate_;
  std::vector<pid_t> pids_;
  std::vector<int> told_;
  int count_ = 0;
  int wrong_ = 0;
  int lost_ = 0;
  int by_poller_ = 0;
};

}  // namespace test
