// Terminations of whole groups: by a group's number where the kernel signals no group by pidfd (before
// Linux 6.9), and where the process would hold too many descriptors. Neither hits a group that got the number
// later.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "support/message.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"
#include "support/younger.hpp"

using std::chrono::milliseconds;
using std::chrono::minutes;
using test::being;
using test::victim;
using test::younger;
using uvreap::child_exit;

namespace {

void lead_a_group() { ::setpgid(0, 0); }

// A child that leads a group, which does not end with the test's, and waits for a signal.
pid_t make_leader() {
  test::message ready;
  pid_t leader = test::make_child([&] {
    lead_a_group();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ready.say();
    for (;;) ::pause();
    return 0;
  });
  ready.wait();
  return leader;
}

// PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9.
bool groups_are_signalled_by_pidfd() {
  constexpr unsigned process_group = 4;
  auto self = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  if (self < 0) return false;
  bool taken = ::syscall(SYS_pidfd_send_signal, self, 0, nullptr, process_group) == 0 || errno != EINVAL;
  ::close(self);
  return taken;
}

class descriptor_limit {
 public:
  explicit descriptor_limit(rlim_t most) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit now{most, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
  }
  ~descriptor_limit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  descriptor_limit(const descriptor_limit&) = delete;
  descriptor_limit& operator=(const descriptor_limit&) = delete;

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("negative control: without a theft the SIGKILL of a termination ends the group") {
  test::stage stage(test::options_that_find_thefts());
  victim old(stage.reaper, {}, lead_a_group);
  REQUIRE(stage.reaper.terminate(old.pid, milliseconds(20)) == 0);
  stage.run_until([&] { return old.is_delivered(); });
  CHECK(old.told[0].status.term_signal() == SIGKILL);
  stage.run_dry();
}

TEST_CASE("a termination whose leader is stolen does not hit the group that gets the number") {
  for (being what : test::beings) {
    for (bool turns_between : {false, true}) {
      CAPTURE(static_cast<int>(what));
      CAPTURE(turns_between);
      test::stage stage(test::options_that_find_thefts());
      victim old(stage.reaper, {}, lead_a_group);
      REQUIRE(stage.reaper.terminate(old.pid, milliseconds(50)) == 0);
      old.be_stolen();
      if (turns_between) stage.run_until([&] { return old.is_delivered(); });
      younger child(old.pid, what, lead_a_group);
      if (!child.was_made()) return;
      ::usleep(50'000);
      stage.run_until([&] { return old.is_delivered(); });
      stage.run_for(milliseconds(100));
      old.check_delivered_as_stolen();
      child.check_untouched();
    }
  }
}

TEST_CASE(
    "a leader's zombie that is kept for its group and then stolen does not make the termination hit "
    "another") {
  for (being what : test::beings) {
    CAPTURE(static_cast<int>(what));
    test::stage stage(test::options_that_find_thefts());
    std::vector<child_exit> told;
    pid_t leader = make_leader();
    REQUIRE(stage.reaper.watch(leader, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
    REQUIRE(stage.reaper.terminate(leader, milliseconds(150)) == 0);
    stage.run_until([&] { return !told.empty(); });
    CHECK(told[0].status.term_signal() == SIGTERM);
    test::wait_for_another_birth();
    // Where it is not kept, the number is free already.
    pid_t stolen = ::waitpid(leader, nullptr, WNOHANG);
    CHECK((stolen == leader || stolen == -1));
    younger child(leader, what, lead_a_group);
    if (!child.was_made()) return;
    ::usleep(150'000);
    stage.run_for(milliseconds(100));
    child.check_untouched();
    CHECK(told.size() == 1);
  }
}

TEST_CASE("a reaper may watch the child that got the number of a leader whose kept zombie was stolen") {
  test::stage stage(test::options_that_find_thefts());
  std::vector<child_exit> told;
  pid_t leader = make_leader();
  REQUIRE(stage.reaper.watch(leader, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  REQUIRE(stage.reaper.terminate(leader, milliseconds(100)) == 0);
  stage.run_until([&] { return !told.empty(); });
  test::wait_for_another_birth();
  (void)::waitpid(leader, nullptr, WNOHANG);
  younger child(leader, being::alive, lead_a_group);
  if (!child.was_made()) return;
  std::vector<child_exit> exits;
  REQUIRE(stage.reaper.watch(leader, [&](const child_exit& exit) { exits.push_back(exit); }) == 0);
  stage.run_for(milliseconds(200));
  CHECK(exits.empty());
  CHECK(stage.reaper.kill(leader, 0) == 0);
  child.let_end();
  stage.run_until([&] { return !exits.empty(); });
  stage.run_for(milliseconds(50));
  child.check_delivered(exits);
}

TEST_CASE(
    "1 400 terminations of groups leave the program half of its 1 024 descriptors, and the loop when they "
    "end") {
  constexpr int groups = 1400;
  descriptor_limit limit(1024);
  test::stage stage(test::options_that_find_thefts());
  int ended = 0;
  std::vector<pid_t> leaders;
  for (int i = 0; i < groups; ++i) {
    pid_t pid = make_leader();
    leaders.push_back(pid);
    auto tell = [&](const child_exit& exit) { ended += exit.status.term_signal() == SIGTERM ? 1 : 0; };
    REQUIRE(stage.reaper.watch(pid, tell) == 0);
  }
  bool is_by_pidfd = groups_are_signalled_by_pidfd();
  // By number the loop is held for the grace, and the zombies are.
  milliseconds grace = is_by_pidfd ? milliseconds(minutes(5)) : milliseconds(3000);
  test::stopwatch since;
  int most = 0;
  for (pid_t leader : leaders) {
    REQUIRE(stage.reaper.terminate(leader, grace) == 0);
    if (leader % 64 == 0) most = std::max(most, test::open_descriptors());
  }
  most = std::max(most, test::open_descriptors());
  stage.run_until([&] { return ended == groups; });
  most = std::max(most, test::open_descriptors());
  CHECK(most <= 512);
  stage.run_dry();
  if (is_by_pidfd) CHECK(since.elapsed() < minutes(1));
  CHECK(stage.reaper.stats().held_pidfds == 0);
}

TEST_CASE("where there are more groups than descriptors, their survivors are killed all the same") {
  constexpr int groups = 200;
  descriptor_limit limit(256);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // so that the survivors' ends can be seen here
  {
    test::stage stage(test::options_that_find_thefts());
    stage.leaves_children = true;
    int ended = 0;
    test::message ready;
    for (int i = 0; i < groups; ++i) {
      pid_t pid = test::make_child([&] {
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a group of its own does not end with the test's
        if (::fork() == 0) {
          ::signal(SIGTERM, SIG_IGN);
          ready.say();
          for (;;) ::pause();
        }
        for (;;) ::pause();
        return 0;
      });
      ready.wait();
      auto tell = [&](const child_exit& exit) { ended += exit.status.term_signal() == SIGTERM ? 1 : 0; };
      REQUIRE(stage.reaper.watch(pid, tell) == 0);
      REQUIRE(stage.reaper.terminate(pid, milliseconds(1500)) == 0);
    }
    stage.run_until([&] { return ended == groups; });
    stage.run_dry();
    int killed = 0;
    for (int i = 0; i < groups; ++i) {
      int word = 0;
      if (::waitpid(-1, &word, 0) > 0 && word == test::killed_by(SIGKILL)) ++killed;
    }
    CHECK(killed == groups);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  }
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}
