// Who gets the orphans: the nearest living subreaper, from the call on, itself and not its children.
#include <doctest/doctest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <thread>
#include <vector>

#include "support/orphans.hpp"
#include "support/own_process.hpp"
#include "support/stage.hpp"
#include "uvreap/process.hpp"

using std::chrono::milliseconds;
using test::place;
using uvreap::child_exit;

namespace {

constexpr milliseconds graces[] = {milliseconds(0), milliseconds(100)};

bool is_subreaper() {
  int answer = -1;
  ::prctl(PR_GET_CHILD_SUBREAPER, &answer, 0, 0, 0);
  return answer == 1;
}

// From here on prctl with this option is refused in this process, as a container's profile may.
bool refuse_prctl(unsigned int option) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, option, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{.len = sizeof program / sizeof program[0], .filter = program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

}  // namespace

TEST_CASE("threads share the subreaper bit, children do not inherit it") {
  for (milliseconds grace : graces) {
    test::apart(place::subreaper, [grace] {
      CHECK(is_subreaper());
      bool in_thread = false;
      std::thread([&] { in_thread = is_subreaper(); }).join();
      CHECK(in_thread);

      std::vector<child_exit> told;
      test::stage stage(test::any_options(grace, &told));
      test::gate gate;
      test::orphans orphans(1);
      std::vector<child_exit> child_told;
      pid_t child = 0;
      auto child_main = [&] {
        if (is_subreaper()) return 1;
        orphans.make();  // not its own, if it is none
        return gate.wait(), 0;
      };
      auto tell = [&](const child_exit& exit) { child_told.push_back(exit); };
      REQUIRE(stage.reaper.fork(&child, child_main, tell) == 0);
      orphans.let_end();
      stage.run_until([&] { return told.size() == 1; });
      orphans.check(told);
      gate.open();
      stage.run_until([&] { return child_told.size() == 1; });
      CHECK(child_told[0].status.exit_code() == 0);
    });
  }
}

TEST_CASE(
    "of two nested subreapers the inner one gets its orphans, and the outer one those that outlive it") {
  for (milliseconds grace : graces) {
    test::apart(place::subreaper, [grace] {
      test::gate may_begin;
      test::orphans reaped_inside(10);
      test::orphans outliving(10);
      // Before the outer reaper: a copy of a process whose libuv has a SIGCHLD handle would hear none of its
      // own.
      pid_t inner = test::make_child([&] {
        may_begin.wait();
        bool well = test::apart(place::subreaper, [&] {
          std::vector<child_exit> told_inside;
          test::stage stage(test::any_options(grace, &told_inside));
          reaped_inside.make();
          outliving.make();
          reaped_inside.let_end();
          stage.run_until([&] { return told_inside.size() == 10; });
          reaped_inside.check(told_inside);
          ::_exit(0);  // and the other ten live
        });
        return well ? 0 : 1;
      });
      std::vector<child_exit> told;
      test::stage outer(test::any_options(grace, &told));
      bool inner_ended = false;
      auto tell = [&](const child_exit& exit) {
        inner_ended = true;
        CHECK(exit.status.exit_code() == 0);
      };
      REQUIRE(outer.reaper.watch(inner, tell) == 0);
      may_begin.open();
      outer.run_until([&] { return inner_ended; });
      CHECK(told.empty());
      outliving.let_end();
      outer.run_until([&] { return told.size() == 10; });
      outliving.check(told);
    });
  }
}

TEST_CASE(
    "who becomes a subreaper when its descendants exist already gets them too, if their parent ends later") {
  for (milliseconds grace : graces) {
    test::apart(place::plain, [grace] {
      test::gate parent_may_end;
      test::gate orphan_may_end;
      int pipe_ends[2];
      REQUIRE(::pipe(pipe_ends) == 0);
      pid_t parent = test::make_child([&] {
        pid_t grandchild = test::make_child([&] { return orphan_may_end.wait(), 5; });
        (void)!::write(pipe_ends[1], &grandchild, sizeof grandchild);
        return parent_may_end.wait(), 0;
      });
      pid_t grandchild = 0;
      REQUIRE(::read(pipe_ends[0], &grandchild, sizeof grandchild) == sizeof grandchild);
      ::close(pipe_ends[0]);
      ::close(pipe_ends[1]);

      CHECK_FALSE(is_subreaper());
      REQUIRE(uvreap::become_subreaper() == 0);
      std::vector<child_exit> told;
      test::stage stage(test::any_options(grace, &told));
      parent_may_end.open();
      stage.run_until([&] { return told.size() == 1; });
      CHECK(told[0].pid == parent);
      orphan_may_end.open();
      stage.run_until([&] { return told.size() == 2; });
      CHECK(told[1].pid == grandchild);
      CHECK(told[1].status.exit_code() == 5);
    });
  }
}

TEST_CASE("who is a subreaper no longer still reaps the orphans it has, and gets no more") {
  for (milliseconds grace : graces) {
    test::apart(place::subreaper, [grace] {  // gets those that the inner one does not
      test::orphans early(5);
      test::orphans late(5);
      pid_t inner = test::make_child([&] {
        bool ran = test::apart(place::subreaper, [&] {
          std::vector<child_exit> told;
          test::stage stage(test::any_options(grace, &told));
          early.make();
          REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0);
          late.make();
          early.let_end();
          late.let_end();
          stage.run_until([&] { return told.size() == 5; });
          stage.run_for(grace + milliseconds(100));
          early.check(told);
        });
        return ran ? 0 : 1;
      });
      CHECK(::waitpid(inner, nullptr, 0) == inner);
      std::vector<child_exit> told;
      test::stage stage(test::any_options(grace, &told));
      stage.run_until([&] { return told.size() == 5; });
      late.check(told);
    });
  }
}

TEST_CASE("where a filter refuses prctl, become_subreaper says UV_EPERM and any() reaps what is there") {
  for (milliseconds grace : graces) {
    test::apart(place::plain, [grace] {
      if (!refuse_prctl(PR_SET_CHILD_SUBREAPER)) {
        MESSAGE("SKIP: no seccomp filter to be had");
        return;
      }
      CHECK(uvreap::become_subreaper() == UV_EPERM);
      CHECK_FALSE(is_subreaper());
      std::vector<child_exit> told;
      test::stage stage(test::any_options(grace, &told));
      pid_t unclaimed = test::make_child_exiting(6);
      stage.run_until([&] { return told.size() == 1; });
      CHECK(told[0].pid == unclaimed);
      CHECK(told[0].status.exit_code() == 6);
      bool watched_told = false;
      pid_t pid = 0;
      REQUIRE(stage.reaper.fork(
                  &pid, [] { return 0; }, [&](const child_exit&) { watched_told = true; }) == 0);
      stage.run_until([&] { return watched_told; });
    });
  }
}
