// A forked copy of a program that has a reaper: the parent's children stay the parent's, whatever the copy
// does.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "support/apart.hpp"
#include "support/loop_handle.hpp"
#include "support/stage.hpp"
#include "uvreap/process.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

// A parent with a child that it watches. At the end of a test the parent must hear of it as if there had been
// no copy, and of another handle in its epoll set, which a careless copy takes out of it.
class parent {
 public:
  explicit parent(uvreap::options options = test::options_of_this_run()) : stage(std::move(options)) {
    auto tell = [this, token = token](const child_exit& exit) {
      ++told;
      status = exit.status;
    };
    REQUIRE(stage.reaper.watch(child, tell) == 0);
    stage.turn();
  }

  void must_be_unharmed() {
    CHECK(told == 0);
    CHECK(stage.reaper.stats().watched == 1);
    gate_.open();
    stage.run_until([&] { return told != 0; });
    stage.run_for(milliseconds(30));
    CHECK(told == 1);
    CHECK(status.raw() == test::exited_with(21));

    bool heard = false;
    auto usr1 = test::on_signal(stage.loop, SIGUSR1, [&] { heard = true; });
    ::raise(SIGUSR1);
    stage.run_until([&] { return heard; });  // through libuv's signal pipe, which is in the epoll set
  }

  test::stage stage;
  std::shared_ptr<int> token = std::make_shared<int>(0);
  int told = 0;
  uvreap::wait_status status;

 private:
  test::gate gate_;

 public:
  const pid_t child = test::make_child([this] { return gate_.wait(), 21; });
};

// Forks a child in the copy and runs until it is told. 0, or what does not hold.
int reap_one(uv_loop_t& loop, uvreap::reaper& reaper) {
  std::vector<child_exit> told;
  pid_t pid = 0;
  HOLDS(reaper.fork(
            &pid, [] { return ::usleep(20'000), 5; },
            [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(told.size() == 1);
  HOLDS(told[0].pid == pid);
  HOLDS(told[0].status.raw() == test::exited_with(5));
  if (!test::poller_alone()) HOLDS(told[0].noticed_by != uvreap::notice::poller);
  return 0;
}

int begin_afresh(parent& of) {
  HOLDS(uv_loop_fork(&of.stage.loop) == 0);
  HOLDS(of.stage.reaper.after_fork() == 0);
  HOLDS(of.token.use_count() == 1);  // the parent's callback is destroyed, uncalled
  HOLDS(of.told == 0);
  HOLDS(of.stage.reaper.stats().watched == 0);
  HOLDS(of.stage.reaper.after_fork() == UV_EINVAL);  // it is no copy any more
  HOLDS(of.stage.reaper.release(of.child) == UV_ESRCH);
  HOLDS(of.stage.reaper.watch(of.child, [](const child_exit&) {}) == UV_ESRCH);
  for (int times = 0; times < 3; ++times) {
    if (int failed = reap_one(of.stage.loop, of.stage.reaper); failed != 0) return failed;
  }
  HOLDS(of.told == 0);
  of.stage.destroy_reaper();
  uv_run(&of.stage.loop, UV_RUN_DEFAULT);
  HOLDS(uv_loop_close(&of.stage.loop) == 0);
  return 0;
}

int make_a_new_one() {
  uv_loop_t loop;
  HOLDS(uv_loop_init(&loop) == 0);
  {
    auto options = test::options_of_this_run();
    if (!test::poller_alone()) options.poll_every = milliseconds(5000);
    uvreap::reaper reaper(loop, options);
    HOLDS(reaper.start() == 0);
    if (int failed = reap_one(loop, reaper); failed != 0) return failed;
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(uv_loop_close(&loop) == 0);
  return 0;
}

void check(const test::end_of_process& end) { CHECK_MESSAGE(end.word == 0, end.said); }

}  // namespace

TEST_CASE("a copy that begins afresh hears of its own children alone, and the parent of its own") {
  parent parent;
  check(test::apart([&] { return begin_afresh(parent); }));
  check(test::apart([&] { return begin_afresh(parent); }, test::fork_as_uvreap_does));
  parent.must_be_unharmed();
}

TEST_CASE("a copy of a copy may begin afresh too") {
  parent parent;
  check(test::apart([&] {
    HOLDS(uv_loop_fork(&parent.stage.loop) == 0);
    HOLDS(parent.stage.reaper.after_fork() == 0);
    auto end = test::apart([&] {
      HOLDS(parent.stage.reaper.watch(1, [](const child_exit&) {}) == UV_EPERM);
      return begin_afresh(parent);
    });
    std::fputs(end.said.c_str(), stderr);
    HOLDS(end.word == 0);
    return reap_one(parent.stage.loop, parent.stage.reaper);
  }));
  parent.must_be_unharmed();
}

TEST_CASE("a copy may make a new loop and a new reaper, and leave the old ones as they are") {
  parent parent;
  check(test::apart([&] { return make_a_new_one(); }));
  parent.must_be_unharmed();
}

TEST_CASE("a copy made by uvreap::fork may make a new loop and a new reaper, which hears SIGCHLD") {
  parent parent;
  check(test::apart([&] { return make_a_new_one(); }, test::fork_as_uvreap_does));
  parent.must_be_unharmed();
}

TEST_CASE("a copy that destroys its reaper unused leaves the parent's loop and reaper working") {
  parent parent;
  check(test::apart([&] { return parent.stage.destroy_reaper(), 0; }));
  check(test::apart([&] { return parent.stage.destroy_reaper(), 0; }, test::fork_as_uvreap_does));
  parent.must_be_unharmed();
}

TEST_CASE("a copied loop that runs without after_fork does nothing, and ends") {
  for (bool destroyed : {false, true}) {
    CAPTURE(destroyed);
    auto options = test::options_of_this_run();
    options.poll_every = milliseconds(50);
    parent parent(options);
    check(test::apart([&] {
      if (destroyed) parent.stage.destroy_reaper();
      HOLDS(uv_loop_fork(&parent.stage.loop) == 0);
      HOLDS(uv_run(&parent.stage.loop, UV_RUN_DEFAULT) == 0);
      HOLDS(parent.told == 0);
      return 0;
    }));
    parent.must_be_unharmed();
  }
}

TEST_CASE("a copied loop ends too when its reaper has no poller and is destroyed") {
  if (test::poller_alone()) {
    MESSAGE("SKIP: without a poller the parent would hear of nothing in this mode");
    return;
  }
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(0);
  parent parent(options);
  auto end = test::apart([&] {
    ::alarm(5);
    parent.stage.destroy_reaper();
    HOLDS(uv_loop_fork(&parent.stage.loop) == 0);
    uv_run(&parent.stage.loop, UV_RUN_DEFAULT);
    return 0;
  });
  CHECK(end.word == 0);  // SIGALRM: the copy hung
  parent.must_be_unharmed();
}

TEST_CASE("a pass that was due at the fork runs in the parent alone") {
  parent parent;
  pid_t ended = test::make_child_exiting(6);
  test::wait_until_ended(ended);
  int told = 0;
  REQUIRE(parent.stage.reaper.watch(ended, [&](const child_exit&) { ++told; }) == 0);
  check(test::apart([&] {
    HOLDS(uv_loop_fork(&parent.stage.loop) ==
          0);  // before that, a turn would read the parent's signal pipe empty
    for (int turns = 0; turns < 5; ++turns) uv_run(&parent.stage.loop, UV_RUN_NOWAIT);
    return told;
  }));
  parent.stage.run_until([&] { return told == 1; });
  parent.must_be_unharmed();
}

TEST_CASE("a SIGCHLD that is pending at the fork is heard in the parent alone") {
  if (test::poller_alone()) {
    MESSAGE("SKIP: this mode has no SIGCHLD");
    return;
  }
  parent parent;
  sigset_t sigchld;
  sigemptyset(&sigchld);
  sigaddset(&sigchld, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &sigchld, nullptr);
  std::vector<child_exit> told;
  pid_t pid = test::make_child_exiting(6);
  REQUIRE(parent.stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  test::wait_until_ended(pid);
  auto end = test::apart([&] {
    HOLDS(uv_loop_fork(&parent.stage.loop) == 0);
    HOLDS(parent.stage.reaper.after_fork() == 0);
    ::pthread_sigmask(SIG_UNBLOCK, &sigchld, nullptr);
    for (int turns = 0; turns < 5; ++turns) uv_run(&parent.stage.loop, UV_RUN_NOWAIT);
    HOLDS(parent.stage.reaper.stats().wakeups_by_sigchld == 0);
    return static_cast<int>(told.size());
  });
  ::pthread_sigmask(SIG_UNBLOCK, &sigchld, nullptr);
  check(end);
  parent.stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].status.raw() == test::exited_with(6));
  if (test::hears_sigchld()) CHECK(parent.stage.reaper.stats().wakeups_by_sigchld != 0);
  parent.must_be_unharmed();
}

TEST_CASE("a signal that libuv has taken for the parent and the loop has not seen is not the copy's") {
  parent parent;
  bool heard = false;
  auto usr2 = test::on_signal(parent.stage.loop, SIGUSR2, [&] { heard = true; });
  ::raise(SIGUSR2);
  check(test::apart([&] {
    HOLDS(uv_loop_fork(&parent.stage.loop) == 0);
    HOLDS(parent.stage.reaper.after_fork() == 0);
    for (int turns = 0; turns < 5; ++turns) uv_run(&parent.stage.loop, UV_RUN_NOWAIT);
    return heard ? 1 : 0;
  }));
  parent.stage.run_until([&] { return heard; });
  parent.must_be_unharmed();
}

TEST_CASE("after_fork where there is no copy is UV_EINVAL") {
  test::stage stage;
  uvreap::reaper unstarted(stage.loop);
  CHECK(stage.reaper.after_fork() == UV_EINVAL);
  CHECK(unstarted.after_fork() == UV_EINVAL);
  REQUIRE(stage.reaper.close() == 0);
  CHECK(stage.reaper.after_fork() == UV_EINVAL);
}

TEST_CASE("a copy may use a reaper that had not been started") {
  parent parent;
  uvreap::reaper unstarted(parent.stage.loop, test::options_of_this_run());
  check(test::apart([&] {
    HOLDS(uv_loop_fork(&parent.stage.loop) == 0);
    HOLDS(parent.stage.reaper.after_fork() == 0);
    HOLDS(unstarted.start() == 0);
    return reap_one(parent.stage.loop, unstarted);
  }));
  parent.must_be_unharmed();
}

TEST_CASE("post_watch in a copy does nothing, there and in the parent") {
  parent parent;
  check(test::apart([&] {
    parent.stage.reaper.post_watch(-1, [&](const child_exit&) { ++parent.told; });
    HOLDS(uv_loop_fork(&parent.stage.loop) == 0);
    for (int turns = 0; turns < 3; ++turns) uv_run(&parent.stage.loop, UV_RUN_NOWAIT);
    return parent.told;
  }));
  parent.stage.run_for(milliseconds(30));
  CHECK(parent.stage.reaper.stats().lost == 0);
  parent.must_be_unharmed();
}
