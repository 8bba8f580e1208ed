// More zombies than any queue holds: signals, completions, pidfds and budgets all run out before they do.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <vector>

#include "support/signal_state.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using std::chrono::seconds;
using uvreap::child_exit;

namespace {

constexpr int most = 20'000;
constexpr int alive_at_once =
    500;  // while they are made: a zombie costs no memory to speak of, a process does

long number_in(const char* path) {
  long number = 0;
  std::ifstream(path) >> number;
  return number;
}

// Empty: this machine gives numbers for so many. Limits that cannot be read here (cgroups) refuse the fork.
std::string too_few_for(int children) {
  long room = std::min(number_in("/proc/sys/kernel/pid_max"), number_in("/proc/sys/kernel/threads-max"));
  if (room < children + 5'000) return "pid_max or threads-max is " + std::to_string(room);
  rlimit processes{};
  ::getrlimit(RLIMIT_NPROC, &processes);
  if (::geteuid() != 0 && processes.rlim_cur < static_cast<rlim_t>(children) + 1'000) {
    return "RLIMIT_NPROC is " + std::to_string(processes.rlim_cur);
  }
  return {};
}

// Each ends in its own way: by a code, every seventh by a signal.
int word_of(int which) { return which % 7 == 0 ? test::killed_by(SIGKILL) : test::exited_with(which); }

int end_as(int which) {
  if (which % 7 == 0) ::kill(::getpid(), SIGKILL);
  return which & 0xff;
}

class horde {
 public:
  explicit horde(test::stage& stage, int size) : stage_(stage), told_(static_cast<std::size_t>(size)) {}

  // All are watched alive, and zombies when it returns. False: so many cannot be made here; none is left.
  [[nodiscard]] bool end_all() {
    std::string why_not = too_few_for(size());
    for (int made = 0; why_not.empty() && made < size();) {
      test::gate together;
      std::vector<pid_t> pids;
      for (; made < size() && pids.size() < alive_at_once; ++made) {
        pid_t pid = 0;
        if (int error = make_one(made, together, &pid); error != 0) {
          why_not = uv_strerror(error);
          break;
        }
        pids.push_back(pid);
      }
      together.open(static_cast<int>(pids.size()));
      for (pid_t pid : pids) test::wait_until_ended(pid);
    }
    if (why_not.empty()) return true;
    MESSAGE("SKIP: so many children cannot be made here: ", why_not);
    (void)stage_.reaper.close();
    test::clean_up_children();
    return false;
  }

  [[nodiscard]] int size() const { return static_cast<int>(told_.size()); }
  [[nodiscard]] bool complete() const { return count_ >= size(); }

  void check_each_told_once() {
    stage_.run_until([&] { return complete(); }, seconds(120));
    stage_.run_for(milliseconds(30));
    CHECK(count_ == size());
    CHECK(std::count(told_.begin(), told_.end(), 1) == size());
    CHECK(wrong_ == 0);
    CHECK(stage_.reaper.stats().lost + stage_.reaper.stats().recovered == 0);
  }

 private:
  int make_one(int which, const test::gate& gate, pid_t* pid) {
    return stage_.reaper.fork(
        pid, [&] { return gate.wait(), end_as(which); },
        [this, which](const child_exit& exit) { note(which, exit); });
  }

  void note(int which, const child_exit& exit) {
    ++told_[static_cast<std::size_t>(which)];
    ++count_;
    if (exit.lost || exit.status.raw() != word_of(which)) ++wrong_;
  }

  test::stage& stage_;
  std::vector<int> told_;
  int count_ = 0;
  int wrong_ = 0;
};

}  // namespace

TEST_CASE("20 000 exits behind one blocked SIGCHLD are told once each, truly, when it is let through") {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(0);  // that one signal and the backend are all there is
  test::stage stage(options);
  horde children(stage, most);
  {
    test::sigchld_blocked guard;
    if (!children.end_all()) return;
    auto stats = stage.reaper.stats();
    CHECK(stats.reaped == 0);
    CHECK(stats.watched == most);
    CHECK(stats.on_pidfd <= 1024);
    if (test::names_exits()) CHECK(stats.on_backend > 0);
  }
  children.check_each_told_once();
  CHECK(stage.reaper.stats().wakeups_by_sigchld == 1);  // it really was one
}

TEST_CASE("exits behind a SIGCHLD that is never let through are told all the same") {
  test::sigchld_blocked guard;
  test::stage stage;
  horde children(stage, 3'000);  // more than there are completions in the ring, or pidfds
  if (!children.end_all()) return;
  CHECK(stage.reaper.stats().sigchld == uvreap::sigchld_health::blocked);
  children.check_each_told_once();
  CHECK(stage.reaper.stats().wakeups_by_sigchld == 0);
}
