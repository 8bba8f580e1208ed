// Children that end in planned ways, and what was told of each.
//
// Each child writes the wait word it is about to cause into a page it shares with us, so that a told status
// is compared with the truth and cannot merely look plausible.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <vector>

#include "stage.hpp"

namespace test {

constexpr int core_bit = 0x80;
constexpr int refused = 77;   // a child's code: this system does not let it end that way
constexpr int survived = 99;  // a child's code: it should not have come that far

// Children with their planned words, and what was told of each.
class endings {
 public:
  endings(stage& stage, int count)
      : stage_(stage), truth_(count), told_(static_cast<std::size_t>(count)), pids_(told_.size()) {}

  void add(int slot, int word, const std::function<void()>& end) {
    pid_t pid = make_child([&] {
      truth_.plan(slot, word);
      end();
      return survived;
    });
    watch(slot, pid);
  }

  void watch(int slot, pid_t pid) {
    pids_[index(slot)] = pid;
    auto note = [this, slot](const uvreap::child_exit& exit) { told_[index(slot)].push_back(exit); };
    REQUIRE(stage_.reaper.watch(pid, note) == 0);
    ++watched_;
  }

  void run() {
    auto all_told = [this] {
      int told = 0;
      for (const auto& of_one : told_) told += of_one.empty() ? 0 : 1;
      return told == watched_;
    };
    stage_.run_until(all_told, std::chrono::seconds(60));
    for (int turns = 0; turns < 4; ++turns) stage_.turn();  // a second telling would come now
  }

  [[nodiscard]] const uvreap::child_exit& told(int slot) const { return told_[index(slot)].at(0); }
  [[nodiscard]] bool was_refused(int slot) const { return told(slot).status.raw() == exited_with(refused); }

  void check(int slot) const {
    CAPTURE(slot);
    REQUIRE(told_[index(slot)].size() == 1);
    CHECK(told(slot).pid == pids_[index(slot)]);
    CHECK_FALSE(told(slot).lost);
    CHECK(told(slot).status.raw() == truth_.planned(slot));
  }

 private:
  static std::size_t index(int slot) { return static_cast<std::size_t>(slot); }

  stage& stage_;
  truth_page truth_;
  std::vector<std::vector<uvreap::child_exit>> told_;
  std::vector<pid_t> pids_;
  int watched_ = 0;
};

inline void die_by(int signum) {
  ::signal(signum, SIG_DFL);  // the test framework catches some of them
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signum);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  if (::kill(::getpid(), signum) != 0) ::_exit(refused);
}

// Whatever the limit and the core pattern of this machine: no core, no core bit (prctl(2)).
inline void die_without_core(int signum) {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  die_by(signum);
}

// What the kernel says of the same ending when nobody is in between.
inline int word_without_reaper(const std::function<void()>& end) {
  pid_t pid = make_child([&] { return end(), survived; });
  int word = -1;
  REQUIRE(::waitpid(pid, &word, 0) == pid);
  return word;
}

}  // namespace test
