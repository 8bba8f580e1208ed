// options.sole_parent: any() of a process in which no other code has children takes orphans at once, without
// /proc too, and a watched child is still its watch's.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <vector>

#include "support/loop_handle.hpp"
#include "support/orphans.hpp"
#include "support/own_process.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using test::place;
using uvreap::child_exit;

namespace {

uvreap::options sole_parent(std::vector<child_exit>* told) {
  auto options = test::any_options(milliseconds(0), told);
  options.sole_parent = true;
  return options;
}

// As a subreaper, as PID 1, and as PID 1 without a /proc that shows it.
void everywhere(const std::function<void(place)>& body) {
  for (place where : {place::subreaper, place::pid_1, place::pid_1_foreign_proc}) {
    if (!test::apart(where, [&] { body(where); })) MESSAGE("SKIP: not ", test::name_of(where));
  }
}

void give_proc_back(place where) {  // as the checks of a stage need it
  if (where == place::pid_1_foreign_proc) test::find_proc_again();
}

// A page that children write and the test reads.
struct shared_count {
  int* value = static_cast<int*>(
      ::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ~shared_count() { ::munmap(value, sizeof(int)); }
};

// A user of whom so many processes may be there at a time, zombies too, makes orphans that end at once. The
// forks that were refused.
void make_orphans_under_a_limit(int count, rlim_t limit, int* refused) {
  constexpr uid_t nobodys = 64'123;
  ::rlimit processes{limit, limit};
  if (::setrlimit(RLIMIT_NPROC, &processes) != 0 || ::setuid(nobodys) != 0) ::_exit(2);
  auto fork = [&] {
    for (;;) {
      pid_t pid = ::fork();
      if (pid >= 0) return pid;
      ++*refused;
      ::usleep(1000);
    }
  };
  for (int i = 0; i < count; ++i) {
    pid_t parent = fork();
    if (parent == 0) {
      (void)fork();
      ::_exit(0);
    }
    ::waitpid(parent, nullptr, 0);
  }
}

}  // namespace

TEST_CASE("a sole parent that does not take any child is a mistake") {
  uv_loop_t loop;
  uv_loop_init(&loop);
  auto options = test::options_of_this_run();
  options.sole_parent = true;
  {
    uvreap::reaper reaper(loop, options);
    CHECK(reaper.start() == UV_EINVAL);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

TEST_CASE("orphans that end together or one after another are told once each, and leave no zombie") {
  for (auto apart : {std::chrono::microseconds(0), std::chrono::microseconds(200)}) {
    everywhere([apart](place where) {
      std::vector<child_exit> told;
      test::stage stage(sole_parent(&told));
      test::orphans orphans(100, apart);
      orphans.make();
      orphans.let_end();
      stage.run_until([&] { return told.size() == 100; });
      stage.run_for(milliseconds(50));  // nobody is told again
      orphans.check(told);
      CHECK(stage.reaper.stats().unclaimed == 100);
      CHECK_FALSE(stage.reaper.stats().unclaimed_one_by_one);
      give_proc_back(where);
      CHECK(test::zombies().empty());
    });
  }
}

TEST_CASE("without on_unclaimed they are reaped all the same") {
  everywhere([](place where) {
    test::stage stage(sole_parent(nullptr));
    test::orphans orphans(300, std::chrono::microseconds(0));
    orphans.make();
    orphans.let_end();
    stage.run_until([&] { return stage.reaper.stats().unclaimed == 300; });
    give_proc_back(where);
    CHECK(test::children().empty());
  });
}

TEST_CASE("zombies that were there before the reaper are told too") {
  everywhere([](place where) {
    test::orphans orphans(10);
    orphans.make();
    orphans.let_end();
    orphans.wait_until_all_ended();
    std::vector<child_exit> told;
    test::stage stage(sole_parent(&told));
    stage.run_until([&] { return told.size() == 10; });
    orphans.check(told);
    give_proc_back(where);
  });
}

TEST_CASE("watched children and orphans that end together are each told to whom it concerns") {
  everywhere([](place where) {
    std::vector<child_exit> told;
    test::stage stage(sole_parent(&told));
    test::orphans orphans(100, std::chrono::microseconds(0));
    orphans.make();
    test::end_beside_watched(stage, orphans, told);
    give_proc_back(where);
  });
}

TEST_CASE("one turn takes no more than its budget, and serves what else the loop has") {
  everywhere([](place where) {
    std::vector<child_exit> told;
    auto options = sole_parent(&told);
    options.budget = 8;
    test::stage stage(options);
    test::orphans orphans(200, std::chrono::microseconds(0));
    orphans.make();
    orphans.let_end();
    orphans.wait_until_all_ended();
    std::uint64_t reaped = 0;
    std::uint64_t most_at_once = 0;
    int turns = 0;
    auto counter = test::on_prepare(stage.loop, [&] {
      auto now = stage.reaper.stats().reaped;
      most_at_once = std::max(most_at_once, now - reaped);
      if (now != reaped) ++turns;
      reaped = now;
    });
    stage.run_until([&] { return told.size() == 200; });
    counter.reset();
    CHECK(most_at_once <= 8);
    CHECK(turns >= 200 / 8);
    CHECK(stage.reaper.stats().budget_spent_turns > 0);
    orphans.check(told);
    give_proc_back(where);
  });
}

TEST_CASE("without /proc many orphans are gone far sooner than one after another") {
  bool ran = test::apart(place::pid_1, [] {
    auto time_for_400 = [](bool alone) {
      auto options = test::any_options(milliseconds(0), nullptr);
      options.sole_parent = alone;
      test::stage stage(options);
      test::orphans orphans(400, std::chrono::microseconds(0));
      orphans.make();
      test::lose_proc();
      orphans.let_end();
      test::stopwatch watch;
      stage.run_until([&] { return stage.reaper.stats().unclaimed == 400; });
      auto spent = watch.elapsed();
      test::find_proc_again();
      return spent;
    };
    auto one_by_one = time_for_400(false);
    CHECK(test::one_of_three([&] { return time_for_400(true) * 3 < one_by_one; }));
  });
  if (!ran) MESSAGE("SKIP: no pid namespace");
}

TEST_CASE("who makes more orphans than there may be processes is hardly ever refused one") {
  if (::geteuid() != 0) {
    MESSAGE("SKIP: not root, who may be another user");
    return;
  }
  if (test::poller_alone()) {
    MESSAGE("SKIP: without SIGCHLD orphans wait for the poller");
    return;
  }
  bool ran = test::apart(place::pid_1, [] {
    auto refused_of_300 = [](bool alone) {
      auto options = test::any_options(milliseconds(0), nullptr);
      options.sole_parent = alone;
      shared_count refused;
      test::stage stage(options);
      test::lose_proc();
      int told = 0;
      pid_t maker = 0;
      auto make = [&] { return make_orphans_under_a_limit(300, 60, refused.value), 0; };
      auto tell = [&](const child_exit& exit) {
        CHECK(exit.status.success());
        ++told;
      };
      REQUIRE(stage.reaper.fork(&maker, make, tell) == 0);
      stage.run_until([&] { return told == 1 && stage.reaper.stats().unclaimed == 300; });
      test::find_proc_again();
      return *refused.value;
    };
    int one_by_one = refused_of_300(false);
    CHECK(one_by_one > 100);  // the control
    CHECK(test::one_of_three([&] { return refused_of_300(true) < one_by_one / 10; }));
  });
  if (!ran) MESSAGE("SKIP: no pid namespace");
}

TEST_CASE("nothing can be left to other code, since there is none") {
  test::stage stage(sole_parent(nullptr));
  test::gate gate;
  pid_t pid = 0;
  int told = 0;
  REQUIRE(stage.reaper.fork(
              &pid, [&] { return gate.wait(), 0; }, [&](const child_exit&) { ++told; }) == 0);
  CHECK(stage.reaper.release(pid) == UV_EINVAL);
  CHECK(stage.reaper.exclude(pid) == UV_EINVAL);
  gate.open();
  stage.run_until([&] { return told == 1; });
}

TEST_CASE("the children of another thread are that thread's to wait for") {
  test::stage stage(sole_parent(nullptr));
  bool done = false;
  std::thread other([&] {
    for (int i = 0; i < 50; ++i) {
      pid_t pid = test::make_child_exiting(7);
      test::wait_until_ended(pid);
      ::usleep(1000);
      int word = 0;
      CHECK(::waitpid(pid, &word, 0) == pid);
      CHECK(word == test::exited_with(7));
    }
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
  });
  auto awake = test::on_idle(stage.loop, [] {});  // the loop must turn without SIGCHLD, too
  while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) stage.turn();
  awake.reset();
  other.join();
  CHECK(stage.reaper.stats().unclaimed == 0);
}

TEST_CASE("on a loop of another thread orphans are told as any() tells them") {
  bool ran = test::apart(place::subreaper, [] {
    std::vector<child_exit> told;
    test::stage stage(sole_parent(&told));
    test::orphans orphans(20);
    orphans.make();
    std::thread([&] {
      orphans.let_end();
      stage.run_until([&] { return told.size() == 20; });
    }).join();
    orphans.check(told);
  });
  if (!ran) MESSAGE("SKIP: no subreaper");
}

TEST_CASE(
    "a group that outlives its leader is killed when the grace is over, and orphans are told meanwhile") {
  bool ran = test::apart(place::subreaper, [] {
    std::vector<child_exit> told;
    test::stage stage(sole_parent(&told));
    struct words {
      pid_t survivor;
      int ready;
    };
    auto* page = static_cast<words*>(
        ::mmap(nullptr, sizeof(words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t leader = 0;
    auto lead = [&] {
      ::setpgid(0, 0);
      pid_t survivor = ::fork();
      if (survivor == 0) {
        ::signal(SIGTERM, SIG_IGN);
        page->survivor = ::getpid();
        __atomic_store_n(&page->ready, 1, __ATOMIC_RELEASE);
        for (;;) ::pause();
      }
      for (;;) ::pause();
      return 0;
    };
    std::vector<child_exit> leader_told;
    REQUIRE(stage.reaper.fork(&leader, lead, [&](const child_exit& exit) { leader_told.push_back(exit); }) ==
            0);
    while (__atomic_load_n(&page->ready, __ATOMIC_ACQUIRE) == 0) ::usleep(500);
    REQUIRE(stage.reaper.terminate(leader, milliseconds(400)) == 0);
    test::orphans orphans(20);
    orphans.make();
    orphans.let_end();
    stage.run_until([&] { return leader_told.size() == 1 && told.size() == 21; });
    CHECK(leader_told[0].status.term_signal() == SIGTERM);
    auto is_survivor = [&](const child_exit& exit) { return exit.pid == page->survivor; };
    auto found = std::find_if(told.begin(), told.end(), is_survivor);
    REQUIRE(found != told.end());
    CHECK(found->status.term_signal() == SIGKILL);
    told.erase(found);
    orphans.check(told);
    ::munmap(page, sizeof(words));
  });
  if (!ran) MESSAGE("SKIP: no subreaper");
}
