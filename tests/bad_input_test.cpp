// Calls that cannot be done: each answers its error, nothing is half done, and what was watched is told all
// the same. What ends the program instead is in misuse_test.cpp.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <limits>
#include <memory>
#include <vector>

#include "support/apart.hpp"
#include "support/bare_loop.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

void not_to_be_told(const child_exit& exit) { FAIL_CHECK("told of ", exit.pid, ", which cannot be watched"); }

int pidfd_of(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

// A child with a child of its own, which is no child of ours. Both live until the gate is opened for two.
class family {
 public:
  family() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    child_ = test::make_child([&] {
      pid_t born = ::fork();
      if (born == 0) gate_.wait(), ::_exit(0);
      (void)!::write(ends[1], &born, sizeof born);
      gate_.wait();
      ::waitpid(born, nullptr, 0);
      return 0;
    });
    REQUIRE(::read(ends[0], &grandchild, sizeof grandchild) == sizeof grandchild);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  ~family() {
    gate_.open(2);
    ::waitpid(child_, nullptr, 0);
  }
  family(const family&) = delete;
  family& operator=(const family&) = delete;

  pid_t grandchild = 0;

 private:
  test::gate gate_;
  pid_t child_ = 0;
};

// Every call that returns int and is about a child, with arguments that are good in themselves.
std::vector<int> answers_of(uvreap::reaper& reaper, pid_t pid, int pidfd) {
  pid_t out = -7;
  std::vector<int> answers{
      reaper.watch(pid, not_to_be_told),
      reaper.watch(pid, {.ref = false}, not_to_be_told),
      reaper.watch_pidfd(pidfd, not_to_be_told),
      reaper.watch_pidfd(pidfd, {.ref = false}, not_to_be_told),
      reaper.release(pid),
      reaper.detach(pid),
      reaper.kill(pid, 0),
      reaper.fork(
          &out, [] { return 0; }, not_to_be_told),
  };
  if (out != -7) answers.push_back(out);  // it forked, or it wrote to its output: no answer that is expected
  return answers;
}

bool all_are(const std::vector<int>& answers, int expected) {
  for (int answer : answers) {
    if (answer != expected) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("what is no pid is answered with UV_EINVAL") {
  test::stage stage;
  for (pid_t pid : {0, -1, -5, std::numeric_limits<pid_t>::min()}) {
    CAPTURE(pid);
    CHECK(stage.reaper.watch(pid, not_to_be_told) == UV_EINVAL);
    CHECK(stage.reaper.release(pid) == UV_EINVAL);
    CHECK(stage.reaper.detach(pid) == UV_EINVAL);
    CHECK(stage.reaper.kill(pid, SIGKILL) == UV_EINVAL);
  }
  CHECK(stage.reaper.stats().watched == 0);
}

TEST_CASE("a process that is no child of ours is answered with UV_ESRCH, and its callback is gone") {
  test::stage stage;
  family family;
  auto token = std::make_shared<int>(0);
  // The last one is no process at all: no kernel gives a number so high.
  for (pid_t pid : {::getpid(), ::getppid(), family.grandchild, std::numeric_limits<pid_t>::max()}) {
    if (pid == 0) continue;  // our parent is outside of our pid namespace
    CAPTURE(pid);
    CHECK(stage.reaper.watch(pid, [token](const child_exit& exit) { not_to_be_told(exit); }) == UV_ESRCH);
    CHECK(stage.reaper.release(pid) == UV_ESRCH);
    CHECK(stage.reaper.detach(pid) == UV_ESRCH);
    CHECK(stage.reaper.kill(pid, 0) == UV_ESRCH);
  }
  CHECK(token.use_count() == 1);
  CHECK(stage.reaper.stats().watched == 0);
  stage.run_for(milliseconds(50));
  CHECK(stage.reaper.stats().lost == 0);
}

TEST_CASE("a refused pid is not kept claimed: a child that gets the number later can be watched") {
  test::stage stage;
  pid_t pid = test::make_child_exiting(0);
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
  CHECK(stage.reaper.watch(pid, not_to_be_told) == UV_ESRCH);
  CHECK(stage.reaper.watch(pid, not_to_be_told) == UV_ESRCH);  // claimed, it would say UV_EEXIST
}

TEST_CASE("a child that is watched is answered with UV_EEXIST, here and by another reaper on another loop") {
  test::stage stage;
  test::stage other;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 4; });
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  CHECK(stage.reaper.watch(pid, not_to_be_told) == UV_EEXIST);
  CHECK(stage.reaper.watch(pid, uvreap::callback{}) == UV_EEXIST);
  CHECK(other.reaper.watch(pid, not_to_be_told) == UV_EEXIST);
  CHECK(other.reaper.release(pid) == UV_ESRCH);
  CHECK(other.reaper.detach(pid) == UV_ESRCH);
  CHECK(other.reaper.kill(pid, SIGKILL) == UV_ESRCH);

  gate.open();
  stage.run_until([&] { return !told.empty(); });
  other.run_for(milliseconds(50));
  REQUIRE(told.size() == 1);
  CHECK(told[0].status.exit_code() == 4);
}

TEST_CASE("a child that one reaper released can be watched by another") {
  test::stage stage;
  test::stage other;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 4; });
  int told = 0;
  REQUIRE(stage.reaper.watch(pid, not_to_be_told) == 0);
  REQUIRE(stage.reaper.detach(pid) == 0);
  CHECK(other.reaper.watch(pid, not_to_be_told) == UV_EEXIST);  // forgotten is still reaped by the first
  REQUIRE(stage.reaper.release(pid) == 0);
  REQUIRE(other.reaper.watch(pid, [&](const child_exit&) { ++told; }) == 0);
  gate.open();
  other.run_until([&] { return told == 1; });
}

TEST_CASE("a second start is answered with UV_EALREADY, and changes nothing") {
  test::stage stage;
  int told = 0;
  pid_t pid = 0;
  REQUIRE(stage.reaper.fork(
              &pid, [] { return 0; }, [&](const child_exit&) { ++told; }) == 0);
  CHECK(stage.reaper.start() == UV_EALREADY);
  CHECK(stage.reaper.stats().watched == 1);
  stage.run_until([&] { return told == 1; });
}

TEST_CASE("before start and after close every call is answered with UV_EINVAL, but close itself with 0") {
  test::bare_loop on;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 0; });
  int pidfd = pidfd_of(pid);
  uvreap::reaper reaper(on.loop, test::options_of_this_run());
  for (bool after_close : {false, true}) {
    CAPTURE(after_close);
    CHECK(all_are(answers_of(reaper, pid, pidfd), UV_EINVAL));
    CHECK(reaper.after_fork() == UV_EINVAL);
    CHECK(reaper.stats() == uvreap::statistics{});
    CHECK(reaper.close() == 0);
    if (!after_close) REQUIRE(reaper.start() == 0);
    CHECK(reaper.close() == 0);
  }
  ::close(pidfd);
  gate.open();
  CHECK(::waitpid(pid, nullptr, 0) == pid);  // nobody took it
}

TEST_CASE("options that cannot be are answered by start with UV_EINVAL, and the loop stays empty") {
  std::vector<uvreap::options> bad(8, test::options_of_this_run());
  bad[0].budget = 0;
  bad[1].budget = -1;
  bad[2].budget = std::numeric_limits<int>::min();
  bad[3].budget_time = std::chrono::microseconds(-1);
  bad[4].poll_every = milliseconds(-1);
  bad[5].children = uvreap::scope::in_group(::getpgrp());
  bad[6].children = uvreap::scope::in_own_group();
  bad[7].children = uvreap::scope::one(::getpid());
  for (const auto& options : bad) {
    CAPTURE(&options - bad.data());
    uv_loop_t loop;
    REQUIRE(uv_loop_init(&loop) == 0);
    {
      uvreap::reaper reaper(loop, options);
      CHECK(reaper.start() == UV_EINVAL);
      CHECK(reaper.start() == UV_EINVAL);  // the options are what they were
      CHECK(reaper.watch(::getpid(), not_to_be_told) == UV_EINVAL);
    }
    CHECK(uv_loop_close(&loop) == 0);  // without a turn: no handle was made at all
  }
}

TEST_CASE("a budget without time is no budget: start answers UV_EINVAL") {
  auto options = test::options_of_this_run();
  options.budget_time = std::chrono::microseconds(0);
  test::bare_loop on;
  uvreap::reaper reaper(on.loop, options);
  CHECK(reaper.start() == UV_EINVAL);
}

TEST_CASE("a fork with nothing to run in the child is answered with UV_EINVAL, and there is no child") {
  test::stage stage;
  pid_t out = -7;
  CHECK(stage.reaper.fork(&out, {}, not_to_be_told) == UV_EINVAL);
  CHECK(stage.reaper.fork(&out, {}, {.ref = false}, not_to_be_told) == UV_EINVAL);
  CHECK(out == -7);
  CHECK(test::children().empty());
}

TEST_CASE("a descriptor that is no pidfd of a child of ours is answered with its error") {
  test::stage stage;
  CHECK(stage.reaper.watch_pidfd(-1, not_to_be_told) == UV_EBADF);
  int file = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(stage.reaper.watch_pidfd(file, not_to_be_told) == UV_EINVAL);
  ::close(file);
  CHECK(stage.reaper.watch_pidfd(file, not_to_be_told) == UV_EBADF);

  family family;
  int ourselves = pidfd_of(::getpid());
  if (ourselves < 0) {
    MESSAGE("SKIP: the kernel gives no pidfd in this mode");
    return;
  }
  int grandchild = pidfd_of(family.grandchild);
  CHECK(stage.reaper.watch_pidfd(grandchild, not_to_be_told) == UV_ESRCH);
  CHECK(stage.reaper.watch_pidfd(ourselves, not_to_be_told) == UV_ESRCH);
  ::close(grandchild);
  ::close(ourselves);

  pid_t pid = test::make_child_exiting(0);
  int pidfd = pidfd_of(pid);
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
  CHECK(stage.reaper.watch_pidfd(pidfd, not_to_be_told) == UV_ESRCH);  // reaped: its number may be anybody's
  ::close(pidfd);
  CHECK(stage.reaper.stats().watched == 0);
}

TEST_CASE(
    "a signal that does not exist is answered with UV_EINVAL, a child that is not watched with UV_ESRCH") {
  test::stage stage;
  test::gate gate;
  pid_t watched = test::make_child([&] { return gate.wait(), 6; });
  pid_t unwatched = test::make_child([&] { return gate.wait(), 0; });
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(watched, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  for (int signum : {-1, 65, 1000, std::numeric_limits<int>::min()}) {
    CAPTURE(signum);
    CHECK(stage.reaper.kill(watched, signum) == UV_EINVAL);
  }
  CHECK(stage.reaper.kill(unwatched, SIGKILL) == UV_ESRCH);

  gate.open(2);
  int word = -1;
  CHECK(::waitpid(unwatched, &word, 0) == unwatched);
  CHECK(word == test::exited_with(0));  // no signal reached it
  stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].status.raw() == test::exited_with(6));
}

TEST_CASE("in a forked copy every call is answered with UV_EPERM, and stats are empty") {
  test::stage stage;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 0; });
  int told = 0;
  int done = 0;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit&) { ++told; }) == 0);
  auto end = test::apart([&] {
    int pidfd = pidfd_of(pid);
    HOLDS(all_are(answers_of(stage.reaper, pid, pidfd), UV_EPERM));
    HOLDS(stage.reaper.watch(0, not_to_be_told) == UV_EPERM);
    HOLDS(stage.reaper.start() == UV_EPERM);
    HOLDS(stage.reaper.close() == UV_EPERM);
    HOLDS(stage.reaper.close([&] { ++done; }) == UV_EPERM);
    HOLDS(stage.reaper.stats() == uvreap::statistics{});
    return done;
  });
  CHECK_MESSAGE(end.word == 0, end.said);
  CHECK(stage.reaper.stats().watched == 1);
  gate.open();
  stage.run_until([&] { return told == 1; });
}
