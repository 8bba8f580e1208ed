// The end of a process group: what outlives its leader is asked for until it is gone, or killed.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include <vector>

#include "support/core_rig.hpp"

using std::chrono::milliseconds;
using test::core_rig;
using test::fake_call;
using test::known_by;
using uvreap::notice;

namespace {

using signals = std::vector<int>;

struct group {
  core_rig& rig;
  pid_t leader;
  pid_t survivor;

  explicit group(core_rig& r) : rig(r), leader(r.kernel.born()), survivor(0) {
    rig.kernel.leads_group(leader);
    survivor = rig.kernel.born_in_group(leader);
    REQUIRE(rig.watch(leader) == 0);
  }
  void terminated(milliseconds grace) const { REQUIRE(rig.core->terminate(leader, grace) == 0); }
  void leader_ends() const {
    rig.kernel.ends(leader, SIGTERM);
    rig.find(notice::sigchld);
    CHECK(rig.delivered_once(leader).status.raw() == SIGTERM);
  }
  void passes(milliseconds time) const {
    rig.kernel.time_passes(time);
    rig.settle();
  }
};

}  // namespace

TEST_CASE("a group is asked again after its leader, and its termination is over when nobody is left") {
  core_rig rig(known_by::held_pidfd);
  group it(rig);
  it.terminated(milliseconds(10'000));
  CHECK(rig.kernel.signals_of(it.survivor) == signals{SIGTERM, SIGCONT});
  it.leader_ends();
  CHECK_FALSE(rig.kernel.exists(it.leader));  // its number is free: the pidfd knows the group
  CHECK(rig.holds_the_loop());
  for (int i = 0; i < 5; ++i) it.passes(milliseconds(25));
  CHECK(rig.holds_the_loop());
  auto sent = rig.kernel.signals().size();
  rig.kernel.ends(it.survivor, SIGTERM);
  it.passes(milliseconds(25));
  CHECK_FALSE(rig.holds_the_loop());
  CHECK(rig.kernel.signals().size() == sent);
  CHECK(rig.stats().held_pidfds == 0);
}

TEST_CASE("who survives the grace is killed, and nobody who has ended before is waited for") {
  core_rig rig(known_by::held_pidfd);
  group it(rig);
  it.terminated(milliseconds(100));
  it.leader_ends();
  it.passes(milliseconds(50));
  CHECK(rig.kernel.signals_of(it.survivor) == signals{SIGTERM, SIGCONT});
  it.passes(milliseconds(60));
  CHECK(rig.kernel.signals_of(it.survivor) == signals{SIGTERM, SIGCONT, SIGKILL});
  CHECK_FALSE(rig.holds_the_loop());
}

TEST_CASE("a group whose leader was its last is over with it") {
  core_rig rig(known_by::held_pidfd);
  group it(rig);
  it.terminated(milliseconds(10'000));
  rig.kernel.ends(it.survivor, SIGTERM);
  it.leader_ends();
  CHECK_FALSE(rig.holds_the_loop());
}

TEST_CASE("by number, the leader's zombie is kept until SIGKILL was sent, and its exit is delivered before") {
  core_rig rig(known_by::start_time);
  group it(rig);
  ::rusage spent{};
  spent.ru_utime.tv_sec = 3;
  it.terminated(milliseconds(100));
  CHECK(rig.kernel.signals_of(it.survivor) == signals{SIGTERM, SIGCONT});
  rig.kernel.ends(it.leader, test::exited_with(7), spent);
  rig.find(notice::sigchld);
  auto exit = rig.delivered_once(it.leader);
  CHECK(exit.status.raw() == test::exited_with(7));
  CHECK(exit.usage == uvreap::resource_usage::from(spent));
  CHECK(rig.stats().reaped == 1);
  CHECK(rig.kernel.is_zombie(it.leader));
  CHECK(rig.holds_the_loop());
  it.passes(milliseconds(50));
  CHECK(rig.kernel.is_zombie(it.leader));
  it.passes(milliseconds(60));
  CHECK(rig.kernel.signals_of(it.survivor) == signals{SIGTERM, SIGCONT, SIGKILL});
  CHECK_FALSE(rig.kernel.exists(it.leader));
  CHECK_FALSE(rig.holds_the_loop());
  CHECK(rig.delivered(it.leader).size() == 1);
}

TEST_CASE(
    "by number, a kept zombie that other code takes ends the termination, and no younger group is "
    "signalled") {
  core_rig rig(known_by::start_time);
  group it(rig);
  it.terminated(milliseconds(100));
  it.leader_ends();
  rig.kernel.ends(it.survivor, SIGTERM);
  REQUIRE(rig.kernel.stolen(it.leader));
  rig.kernel.born_as(it.leader, test::owner::foreign);
  rig.kernel.leads_group(it.leader);
  SUBCASE("that lives") {}
  SUBCASE("whose leader has ended") { rig.kernel.ends(it.leader, 0); }
  bool has_ended = rig.kernel.is_zombie(it.leader);
  it.passes(milliseconds(110));
  CHECK(rig.kernel.signals_of(it.leader).empty());
  CHECK(rig.kernel.exists(it.leader));
  CHECK(rig.kernel.is_zombie(it.leader) == has_ended);
  CHECK(rig.kernel.foreign_taken() == 0);
  CHECK_FALSE(rig.holds_the_loop());
  CHECK(rig.watch(it.leader) == 0);  // and its claim is gone
  REQUIRE(rig.release(it.leader) == 0);
}

TEST_CASE(
    "a termination without a descriptor goes on with one as soon as one is free, and gives the zombie up") {
  core_rig rig(known_by::inode);  // all are taken
  group it(rig);
  it.terminated(milliseconds(10'000));
  it.leader_ends();
  CHECK(rig.kernel.is_zombie(it.leader));
  it.passes(milliseconds(25));
  CHECK(rig.kernel.is_zombie(it.leader));
  uvreap::claims::of_this_process()->let_go();
  it.passes(milliseconds(25));
  CHECK_FALSE(rig.kernel.exists(it.leader));
  CHECK(rig.holds_the_loop());
  rig.kernel.ends(it.survivor, SIGTERM);
  it.passes(milliseconds(25));
  CHECK_FALSE(rig.holds_the_loop());
  REQUIRE(uvreap::claims::of_this_process()->hold(uvreap::claims::most_held()));  // back
}

TEST_CASE("a kernel that signals no groups by pidfd has them signalled by number") {
  core_rig rig(known_by::held_pidfd);
  rig.kernel.signals_groups = false;
  group it(rig);
  it.terminated(milliseconds(100));
  CHECK(rig.kernel.signals_of(it.survivor) == signals{SIGTERM, SIGCONT});
  it.leader_ends();
  CHECK(rig.kernel.is_zombie(it.leader));
  it.passes(milliseconds(110));
  CHECK(rig.kernel.signals_of(it.survivor) == signals{SIGTERM, SIGCONT, SIGKILL});
  CHECK_FALSE(rig.kernel.exists(it.leader));
  CHECK(rig.stats().held_pidfds == 0);
}

TEST_CASE("a termination under way is one: another is UV_EALREADY, and a deadline shortens it") {
  core_rig rig(known_by::held_pidfd);
  pid_t pid = rig.kernel.born();
  REQUIRE(rig.watch_until(milliseconds(50), pid) == 0);
  REQUIRE(rig.core->terminate(pid, milliseconds(1'000'000)) == 0);
  CHECK(rig.core->terminate(pid, milliseconds(0)) == UV_EALREADY);
  rig.kernel.time_passes(milliseconds(60));
  rig.settle();
  rig.kernel.time_passes(milliseconds(5'010));  // the deadline's grace
  rig.settle();
  CHECK(rig.kernel.signals_of(pid) == signals{SIGTERM, SIGCONT, SIGKILL});
  rig.kernel.ends(pid, SIGKILL);
  rig.find(notice::sigchld);
  CHECK(rig.delivered_once(pid).timed_out);
}

TEST_CASE("a child that ended before its deadline was in time, however late that is found") {
  core_rig rig(known_by::held_pidfd);
  pid_t pid = rig.kernel.born();
  REQUIRE(rig.watch_until(milliseconds(50), pid) == 0);
  rig.kernel.ends(pid, test::exited_with(1));
  rig.kernel.time_passes(milliseconds(60));
  rig.settle();
  rig.find(notice::sigchld);
  CHECK_FALSE(rig.delivered_once(pid).timed_out);
  CHECK(rig.kernel.signals().empty());
}
