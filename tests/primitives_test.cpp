// wait4 alone, without a reaper: which children it takes, which it leaves, and what it answers.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <climits>
#include <set>
#include <vector>

#include "support/children.hpp"
#include "support/clean_floor.hpp"
#include "support/proc.hpp"
#include "support/truth_page.hpp"
#include "uvreap/process.hpp"

using uvreap::scope;
using uvreap::wait_result;
using uvreap::wait_status;

namespace {

pid_t zombie_exiting(int code, pid_t group = -1) {
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), code; });
  if (group != -1) CHECK(::setpgid(pid, group) == 0);  // 0: it leads a new one
  gate.open();
  test::wait_until_ended(pid);
  return pid;
}

bool is_still_there(pid_t pid) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid;
}

void check_took(const wait_result& result, pid_t pid, int code) {
  CHECK(result.error == 0);
  CHECK(result.pid == pid);
  CHECK(result.status.raw() == test::exited_with(code));
}

// With WNOWAIT: what it waited for stays for the call that is tested.
void wait_until_it(int changed, pid_t pid) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, changed | WNOWAIT) != 0 && errno == EINTR) {
  }
}

}  // namespace

TEST_CASE("wait4 says of one child that it lives, then how it ended, then that there is no such child") {
  test::clean_floor floor;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  CHECK(uvreap::wait4(scope::one(pid)) == wait_result{});  // all empty: none is ready
  CHECK(uvreap::wait4(scope::any()) == wait_result{});
  CHECK(uvreap::wait4(scope::in_own_group()) == wait_result{});
  CHECK(uvreap::wait4(scope::in_group(::getpgrp())) == wait_result{});
  gate.open();
  test::wait_until_ended(pid);
  check_took(uvreap::wait4(scope::one(pid)), pid, 3);
  CHECK(uvreap::wait4(scope::one(pid)) == wait_result{.error = UV_ESRCH});
}

TEST_CASE("wait4 tells what the child used") {
  test::clean_floor floor;
  pid_t pid = test::make_child([] {
    timespec used{};
    do ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while (used.tv_sec == 0 && used.tv_nsec < 60'000'000);
    return 0;
  });
  wait_result result = uvreap::wait4(scope::one(pid), 0);
  check_took(result, pid, 0);
  CHECK(result.usage.user_time + result.usage.system_time >= std::chrono::milliseconds(50));
  CHECK(result.usage.max_rss_bytes > 0);
}

TEST_CASE("wait4 answers UV_ESRCH for what is no child of ours") {
  test::clean_floor floor;
  for (scope nobody : {scope::any(), scope::in_own_group(), scope::in_group(::getpgrp()), scope::in_group(2),
                       scope::in_group(INT_MAX), scope::one(1), scope::one(::getpid()),
                       scope::one(::getppid()), scope::one(INT_MAX)}) {
    CHECK(uvreap::wait4(nobody) == wait_result{.error = UV_ESRCH});
    CHECK(uvreap::wait4(nobody, 0) == wait_result{.error = UV_ESRCH});  // and does not block
  }
}

TEST_CASE("a number that would select other children than it names is UV_EINVAL, and takes nobody") {
  test::clean_floor floor;
  // For wait4(2), 0 is our group, -5 a group, and -1 (group 1 negated) every child: each of these would take
  // it.
  pid_t there = zombie_exiting(3);
  for (int options : {WNOHANG, 0, WNOHANG | WUNTRACED | WCONTINUED}) {
    CAPTURE(options);
    for (pid_t bad : {0, -1, -5, INT_MIN, INT_MIN + 1, -there}) {
      CAPTURE(bad);
      CHECK(uvreap::wait4(scope::one(bad), options) == wait_result{.error = UV_EINVAL});
      CHECK(uvreap::wait4(scope::in_group(bad), options) == wait_result{.error = UV_EINVAL});
    }
    CHECK(uvreap::wait4(scope::in_group(1), options) == wait_result{.error = UV_EINVAL});
    CHECK(uvreap::wait4(scope::watched(), options) == wait_result{.error = UV_EINVAL});
  }
  CHECK(uvreap::wait4(scope::one(there), 0x4000) == wait_result{.error = UV_EINVAL});  // no such option
  CHECK(is_still_there(there));
  check_took(uvreap::wait4(scope::one(there)), there, 3);
}

TEST_CASE("of two zombies only the one that was asked for is taken") {
  test::clean_floor floor;
  pid_t older = zombie_exiting(1);
  pid_t younger = zombie_exiting(2);
  check_took(uvreap::wait4(scope::one(younger)), younger, 2);
  CHECK(is_still_there(older));
  CHECK(uvreap::wait4(scope::one(younger)) == wait_result{.error = UV_ESRCH});
  check_took(uvreap::wait4(scope::one(older)), older, 1);
}

TEST_CASE("a group's wait takes its own children, each once, and leaves the others waitable") {
  test::clean_floor floor;
  std::vector<pid_t> ours = {zombie_exiting(10), zombie_exiting(11)};
  pid_t leader = zombie_exiting(20, 0);
  std::vector<pid_t> theirs = {leader, zombie_exiting(21, leader), zombie_exiting(22, leader)};
  pid_t other = zombie_exiting(30, 0);

  std::set<pid_t> taken;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    wait_result result = uvreap::wait4(scope::in_group(leader));
    CHECK(result.error == 0);
    CHECK(result.status.exit_code() / 10 == 2);
    taken.insert(result.pid);
  }
  CHECK(taken == std::set<pid_t>(theirs.begin(), theirs.end()));
  CHECK(uvreap::wait4(scope::in_group(leader)) == wait_result{.error = UV_ESRCH});
  for (pid_t pid : {ours[0], ours[1], other}) CHECK(is_still_there(pid));

  taken.clear();
  for (std::size_t i = 0; i < ours.size(); ++i) taken.insert(uvreap::wait4(scope::in_own_group()).pid);
  CHECK(taken == std::set<pid_t>(ours.begin(), ours.end()));
  CHECK(uvreap::wait4(scope::in_own_group()) == wait_result{.error = UV_ESRCH});
  CHECK(is_still_there(other));
  check_took(uvreap::wait4(scope::any()), other, 30);
}

TEST_CASE("a wait for any child takes every child once, over all groups") {
  test::clean_floor floor;
  std::set<pid_t> made;
  pid_t leader = zombie_exiting(0, 0);
  made.insert(leader);
  for (int i = 1; i < 8; ++i) made.insert(i % 2 == 0 ? zombie_exiting(i, leader) : zombie_exiting(i));
  std::set<pid_t> taken;
  for (int i = 0; i < 8; ++i) taken.insert(uvreap::wait4(scope::any()).pid);
  CHECK(taken == made);
  CHECK(uvreap::wait4(scope::any()) == wait_result{.error = UV_ESRCH});
}

TEST_CASE("stops and continues are answered to who asks for them, once each") {
  test::clean_floor floor;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  CHECK(::setpgid(pid, 0) == 0);
  int next_scope = 0;
  for (scope where : {scope::one(pid), scope::in_group(pid), scope::any()}) {
    CAPTURE(next_scope++);
    CHECK(::kill(pid, SIGSTOP) == 0);
    wait_until_it(WSTOPPED, pid);
    CHECK(uvreap::wait4(where) == wait_result{});
    CHECK(uvreap::wait4(where, WNOHANG | WCONTINUED) == wait_result{});
    wait_result stopped = uvreap::wait4(where, WNOHANG | WUNTRACED);
    CHECK(stopped.pid == pid);
    CHECK(stopped.status.stop_signal() == SIGSTOP);
    CHECK(uvreap::wait4(where, WNOHANG | WUNTRACED) == wait_result{});

    CHECK(::kill(pid, SIGCONT) == 0);
    wait_until_it(WCONTINUED, pid);
    CHECK(uvreap::wait4(where, WNOHANG | WUNTRACED) == wait_result{});
    wait_result continued = uvreap::wait4(where, WNOHANG | WUNTRACED | WCONTINUED);
    CHECK(continued.pid == pid);
    CHECK(continued.status.continued());
    CHECK(uvreap::wait4(where, WNOHANG | WCONTINUED) == wait_result{});
  }
  CHECK(::kill(pid, SIGSTOP) == 0);
  CHECK(
      uvreap::wait4(scope::one(pid), WUNTRACED).status.stopped());  // without WNOHANG it waits for that, too
  CHECK(::kill(pid, SIGKILL) == 0);
  wait_result killed = uvreap::wait4(scope::one(pid), WUNTRACED | WCONTINUED);
  CHECK(killed.status == wait_status(test::killed_by(SIGKILL)));
}

TEST_CASE("a blocking wait goes on after a signal that was handled meanwhile") {
  test::clean_floor floor;
  static volatile sig_atomic_t handled;
  handled = 0;
  struct ::sigaction count {};
  struct ::sigaction before {};
  count.sa_handler = [](int) { handled = handled + 1; };  // without SA_RESTART: the kernel's wait says EINTR
  CHECK(::sigaction(SIGUSR1, &count, &before) == 0);
  pid_t parent = ::getpid();
  pid_t pid = test::make_child([parent] {
    // We are asleep nowhere but in that wait, having one thread.
    for (int signals = 0; signals < 3; ++signals) {
      while (test::state_of(parent) != 'S') ::usleep(100);
      ::kill(parent, SIGUSR1);
      ::usleep(5000);
    }
    return 4;
  });
  check_took(uvreap::wait4(scope::one(pid), 0), pid, 4);
  CHECK(handled >= 1);
  CHECK(::sigaction(SIGUSR1, &before, nullptr) == 0);
}
