// A number is not a child. Each child here is taken by other code, and its number goes to a younger one of
// this process, which the reaper was not given: it is neither waited for nor signalled, whatever is done by
// number.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include <functional>

#include "support/core_rig.hpp"

using std::chrono::milliseconds;
using test::core_rig;
using test::exited_with;
using test::fake_call;
using test::known_by;
using test::owner;
using test::with_budget;
using uvreap::claims;
using uvreap::notice;

namespace {

constexpr int word_of_elder = exited_with(41);
constexpr int word_of_younger = exited_with(42);

struct elder {
  core_rig& rig;
  pid_t pid;
  bool younger_ends;

  void watched() const { REQUIRE(rig.watch(pid) == 0); }
  // It ends, other code takes it, and the younger one has its number.
  void gives_way() const {
    rig.kernel.ends(pid, word_of_elder);
    REQUIRE(rig.kernel.stolen(pid));
    rig.kernel.born_as(pid, owner::foreign);
    if (younger_ends) rig.kernel.ends(pid, word_of_younger);
  }
  void is_delivered_as_lost() const {
    auto exit = rig.delivered_once(pid);
    CHECK(exit.lost);
    CHECK_FALSE(exit.status);
    CHECK_FALSE(exit.timed_out);
    CHECK(rig.stats().watched == 0);
  }
  void younger_is_left_alone() const {
    CHECK(rig.kernel.exists(pid));
    CHECK(rig.kernel.is_zombie(pid) == younger_ends);
    CHECK(rig.kernel.foreign_taken() == 0);
    CHECK(rig.kernel.signals_of(pid).empty());
  }
};

// Whatever tells a birth here, and whether the younger one lives or has ended.
void each(const std::function<void(const elder&)>& body) {
  for (known_by how : {known_by::held_pidfd, known_by::inode, known_by::start_time}) {
    for (bool younger_ends : {false, true}) {
      CAPTURE(static_cast<int>(how));
      CAPTURE(younger_ends);
      core_rig rig(how);
      elder one{rig, rig.kernel.born(), younger_ends};
      body(one);
      one.younger_is_left_alone();
      rig.close();
      one.younger_is_left_alone();
    }
  }
}

}  // namespace

TEST_CASE("the poller finds that a number is another's") {
  each([](const elder& one) {
    one.watched();
    one.gives_way();
    one.rig.find(notice::poller);
    one.is_delivered_as_lost();
  });
}

TEST_CASE("a zombie that SIGCHLD shows is compared before it is taken") {
  each([](const elder& one) {
    if (!one.younger_ends) return one.gives_way();  // there is nothing to see
    one.watched();
    one.gives_way();
    one.rig.find(notice::sigchld);
    one.is_delivered_as_lost();
  });
}

TEST_CASE("a child that wants changes gets none of the younger one's") {
  each([](const elder& one) {
    REQUIRE(one.rig.watch_changes(one.pid) == 0);
    one.gives_way();
    if (!one.younger_ends) one.rig.kernel.stops(one.pid, SIGSTOP);
    one.rig.find(notice::sigchld);
    one.is_delivered_as_lost();
    CHECK(one.rig.changes().empty());
  });
}

TEST_CASE("kill() signals no younger child") {
  each([](const elder& one) {
    one.watched();
    one.gives_way();
    CHECK(one.rig.core->kill(one.pid, SIGTERM) == UV_ESRCH);
    one.rig.settle();
    one.is_delivered_as_lost();
    CHECK(one.rig.core->kill(one.pid, SIGTERM) == UV_ESRCH);
  });
}

TEST_CASE("kill() without pidfd_open signals no younger child") {
  each([](const elder& one) {
    one.watched();
    one.gives_way();
    one.rig.kernel.plan({.where = fake_call::pidfd_open, .error = EMFILE, .times = test::for_ever});
    // With nothing left to compare by, the number is all there is; a held pidfd and a start time are still
    // there.
    bool can_tell = one.rig.stats().held_pidfds == 1 || !one.rig.kernel.has_pidfds;
    if (can_tell) CHECK(one.rig.core->kill(one.pid, SIGTERM) == UV_ESRCH);
  });
}

TEST_CASE("terminate() signals no younger child") {
  each([](const elder& one) {
    one.watched();
    one.gives_way();
    CHECK(one.rig.core->terminate(one.pid, milliseconds(0)) == UV_ESRCH);
    one.rig.kernel.time_passes(milliseconds(10));
    one.rig.settle();
    one.is_delivered_as_lost();
    CHECK_FALSE(one.rig.holds_the_loop());
  });
}

TEST_CASE("the SIGKILL of a termination hits no younger child") {
  each([](const elder& one) {
    one.watched();
    REQUIRE(one.rig.core->terminate(one.pid, milliseconds(50)) == 0);
    CHECK(one.rig.kernel.signals_of(one.pid) == std::vector<int>{SIGTERM, SIGCONT});
    one.gives_way();
    one.rig.kernel.time_passes(milliseconds(60));
    one.rig.settle();  // no notice has come: the SIGKILL is first
    one.younger_is_left_alone();
    one.rig.find(notice::poller);
    one.is_delivered_as_lost();
    CHECK_FALSE(one.rig.holds_the_loop());
  });
}

TEST_CASE("the SIGKILL of a group hits no younger group") {
  for (bool signals_groups : {false, true}) {
    CAPTURE(signals_groups);
    each([signals_groups](const elder& one) {
      one.rig.kernel.signals_groups = signals_groups;
      one.rig.kernel.leads_group(one.pid);
      one.watched();
      REQUIRE(one.rig.core->terminate(one.pid, milliseconds(50)) == 0);
      one.gives_way();
      one.rig.kernel.leads_group(one.pid);
      pid_t member = one.rig.kernel.born_in_group(one.pid);
      if (one.younger_ends) one.rig.find(notice::poller);
      one.rig.kernel.time_passes(milliseconds(60));
      one.rig.settle();
      one.rig.find(notice::poller);
      one.is_delivered_as_lost();
      CHECK(one.rig.kernel.signals_of(member).empty());
      CHECK_FALSE(one.rig.holds_the_loop());
    });
  }
}

TEST_CASE("a deadline ends no younger child, and the lost one is not timed out") {
  each([](const elder& one) {
    REQUIRE(one.rig.watch_until(milliseconds(50), one.pid) == 0);
    one.gives_way();
    one.rig.kernel.time_passes(milliseconds(60));
    one.rig.settle();
    one.is_delivered_as_lost();
  });
}

TEST_CASE("release() gives nobody's child away, and the younger one may be watched after it") {
  each([](const elder& one) {
    one.watched();
    one.gives_way();
    REQUIRE(one.rig.release(one.pid) == 0);
    one.rig.find(notice::poller);
    CHECK(one.rig.all_delivered().empty());
    one.younger_is_left_alone();
    REQUIRE(one.rig.watch(one.pid) == 0);
    REQUIRE(one.rig.release(one.pid) == 0);
  });
}

TEST_CASE("close() touches no younger child, with a termination under way or without") {
  for (bool terminates : {false, true}) {
    each([terminates](const elder& one) {
      one.rig.kernel.leads_group(one.pid);
      one.watched();
      if (terminates) REQUIRE(one.rig.core->terminate(one.pid, milliseconds(50)) == 0);
      one.gives_way();
      auto waits = one.rig.kernel.calls(fake_call::wait4);
      one.rig.close();
      CHECK(one.rig.kernel.calls(fake_call::wait4) == waits);
    });
  }
}

TEST_CASE("a detached child that was taken is lost in silence") {
  each([](const elder& one) {
    one.watched();
    REQUIRE(one.rig.detach(one.pid) == 0);
    one.gives_way();
    one.rig.find(notice::poller);
    CHECK(one.rig.all_delivered().empty());
    CHECK(one.rig.stats().lost == 1);
    CHECK(one.rig.stats().watched == 0);
  });
}

TEST_CASE("the number of a lost child is its new owner's to watch, and the old one is delivered as lost") {
  each([](const elder& one) {
    one.watched();
    one.gives_way();
    int younger_ended_with = -1;
    REQUIRE(one.rig.watch_as(one.pid, {},
                             [&](const auto& exit) { younger_ended_with = exit.status.raw(); }) == 0);
    CHECK(one.rig.watch(one.pid) == UV_EEXIST);
    CHECK(one.rig.delivered(one.pid).empty());  // never inside the call
    one.rig.sweep();
    CHECK(one.rig.delivered_once(one.pid).lost);
    if (!one.younger_ends) one.rig.kernel.ends(one.pid, word_of_younger);
    one.rig.find(notice::sigchld);
    CHECK(younger_ended_with == word_of_younger);
    CHECK(one.rig.delivered(one.pid).size() == 1);
    CHECK(one.rig.kernel.foreign_taken() == 1);

    one.rig.kernel.born_as(one.pid);  // for what is checked at the end
    if (one.younger_ends) one.rig.kernel.ends(one.pid, 0);
    one.rig.kernel.forget_taken();
  });
}

TEST_CASE("the number of a lost child is another reaper's to watch, and the old one is delivered as lost") {
  each([](const elder& one) {
    core_rig another(one.rig.kernel, with_budget(64));
    one.watched();
    CHECK(another.watch(one.pid) == UV_EEXIST);  // while it is there
    one.gives_way();
    REQUIRE(another.watch(one.pid) == 0);
    auto waits = one.rig.kernel.calls(fake_call::wait4);
    one.rig.find(notice::poller);
    one.is_delivered_as_lost();
    CHECK(one.rig.kernel.calls(fake_call::wait4) == waits);
    if (!one.younger_ends) one.rig.kernel.ends(one.pid, word_of_younger);
    another.find(notice::poller);
    CHECK(another.delivered_once(one.pid).status.raw() == word_of_younger);

    one.rig.kernel.born_as(one.pid);  // for what is checked at the end
    if (one.younger_ends) one.rig.kernel.ends(one.pid, 0);
    one.rig.kernel.forget_taken();
  });
}

TEST_CASE("a child that is claimed anew between the look and the wait is left to its new owner") {
  for (known_by how : {known_by::held_pidfd, known_by::inode, known_by::start_time, known_by::number}) {
    CAPTURE(static_cast<int>(how));
    core_rig rig(how);
    pid_t pid = rig.born_watched();
    rig.kernel.ends(pid, word_of_elder);
    // The last call of the look.
    auto last = how == known_by::start_time ? fake_call::start_time_of : fake_call::waitid;
    rig.kernel.after = [&](fake_call which, pid_t about) {
      if (which != last || about != pid) return;
      rig.kernel.after = nullptr;
      REQUIRE(rig.kernel.stolen(pid));
      rig.kernel.born_as(pid, owner::foreign);
      rig.kernel.ends(pid, word_of_younger);
      claims::of_this_process()->claim_newborn(pid, claims::word_of(0x7000'0000, 1));
    };
    rig.find(notice::poller);
    CHECK(rig.delivered_once(pid).lost);
    CHECK(rig.kernel.is_zombie(pid));
    CHECK(rig.kernel.calls(fake_call::wait4) == 0);
    claims::of_this_process()->drop(pid, claims::word_of(0x7000'0000, 1));
  }
}

TEST_CASE("a newborn of ours has the number of a lost child, whatever tells births") {
  for (known_by how : {known_by::held_pidfd, known_by::inode, known_by::start_time, known_by::number}) {
    for (bool by_another_reaper : {false, true}) {
      CAPTURE(static_cast<int>(how));
      CAPTURE(by_another_reaper);
      core_rig rig(how);
      core_rig another(rig.kernel, with_budget(64));
      core_rig& forker = by_another_reaper ? another : rig;
      pid_t pid = rig.born_watched();
      rig.kernel.ends(pid, word_of_elder);
      REQUIRE(rig.kernel.stolen(pid));
      rig.kernel.next_fork_is(pid);
      int younger_ended_with = -1;
      auto record = std::make_unique<uvreap::child>(
          uvreap::watch_options{}, [&](const auto& exit) { younger_ended_with = exit.status.raw(); });
      std::function<int()> child_main = [] { return 0; };
      pid_t made = 0;
      REQUIRE(forker.core->fork(&made, child_main, record) == 0);
      REQUIRE(made == pid);
      rig.find(notice::poller);
      CHECK(rig.delivered_once(pid).lost);
      rig.kernel.ends(pid, word_of_younger);
      rig.find(notice::poller);
      another.find(notice::poller);
      CHECK(younger_ended_with == word_of_younger);
    }
  }
}

TEST_CASE("a stolen status that the kernel still tells is recovered, and it is the elder's") {
  for (bool younger_ends : {false, true}) {
    core_rig rig(known_by::held_pidfd);
    rig.kernel.tells_exit_words = true;
    elder one{rig, rig.kernel.born(), younger_ends};
    one.watched();
    one.gives_way();
    rig.find(notice::poller);
    auto exit = rig.delivered_once(one.pid);
    CHECK(exit.recovered);
    CHECK_FALSE(exit.lost);
    CHECK(exit.status.raw() == word_of_elder);
    CHECK(rig.stats().recovered == 1);
    CHECK(rig.stats().reaped == 0);
    one.younger_is_left_alone();
  }
}

TEST_CASE("where the machine tells no birth a child is known by its number, and the statistics say so") {
  core_rig rig(known_by::number);
  auto pids = rig.born_watched(3);
  CHECK(rig.stats().by_number == 3);
  CHECK(rig.watch(pids[0]) == UV_EEXIST);
  rig.kernel.ends(pids[0], word_of_elder);
  REQUIRE(rig.kernel.stolen(pids[0]));
  rig.end_all({pids[1]});
  rig.find(notice::poller);
  CHECK(rig.delivered_once(pids[0]).lost);
  CHECK(rig.delivered_once(pids[1]).status.raw() == test::word_of(pids[1]));
  CHECK(rig.stats().by_number == 1);
}

TEST_CASE(
    "a number that a process has which is no child of ours is not signalled, though nothing tells births") {
  for (known_by how : {known_by::inode, known_by::number}) {
    CAPTURE(static_cast<int>(how));
    core_rig rig(how);
    rig.kernel.has_inodes = rig.kernel.has_start_times = false;
    pid_t pid = rig.born_watched();
    rig.kernel.ends(pid, word_of_elder);
    REQUIRE(rig.kernel.stolen(pid));
    rig.kernel.born_as(pid, owner::a_child);
    CHECK(rig.core->kill(pid, SIGTERM) == UV_ESRCH);
    CHECK(rig.core->terminate(pid, milliseconds(0)) == UV_ESRCH);
    rig.settle();
    CHECK(rig.delivered_once(pid).lost);
    CHECK(rig.kernel.signals().empty());
  }
}

TEST_CASE("where the machine tells births no child is known by its number") {
  for (known_by how : {known_by::held_pidfd, known_by::inode, known_by::start_time}) {
    core_rig rig(how);
    rig.born_watched(3);
    CHECK(rig.stats().by_number == 0);
    CHECK(rig.stats().held_pidfds == (how == known_by::held_pidfd ? 3
                                      : how == known_by::inode    ? claims::most_held()
                                                                  : 0));
  }
}

TEST_CASE("a kernel whose pidfds all have one inode is asked for start times") {
  core_rig rig(known_by::inode);
  rig.kernel.has_inodes = false;
  elder one{rig, rig.kernel.born(), true};
  one.watched();
  one.gives_way();
  rig.find(notice::sigchld);
  one.is_delivered_as_lost();
  one.younger_is_left_alone();
}

TEST_CASE("a kernel that does not wait by pidfd is asked by number, and the births are compared") {
  for (known_by how : {known_by::held_pidfd, known_by::inode}) {
    CAPTURE(static_cast<int>(how));
    core_rig rig(how);
    rig.kernel.waits_by_pidfd = false;
    rig.kernel.has_inodes = false;  // it is older than these
    elder one{rig, rig.kernel.born(), true};
    one.watched();
    one.gives_way();
    rig.find(notice::sigchld);
    one.is_delivered_as_lost();
    one.younger_is_left_alone();
  }
}
