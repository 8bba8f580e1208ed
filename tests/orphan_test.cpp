// Orphans that come to a subreaper and to PID 1: each is told once, truly, and is no zombie for long. Every
// one of these has its control: with scope watched() the same orphans stay zombies.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "support/orphans.hpp"
#include "support/own_process.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using test::place;
using uvreap::child_exit;

namespace {

constexpr place places[] = {place::subreaper, place::pid_1};
constexpr milliseconds graces[] = {milliseconds(0), milliseconds(100)};

void everywhere(const std::function<void(milliseconds grace)>& body) {
  for (place where : places) {
    for (milliseconds grace : graces) {
      if (!test::apart(where, [&] { body(grace); })) MESSAGE("SKIP: not ", test::name_of(where));
    }
  }
}

bool are_zombies(const test::orphans& orphans, int count) {
  auto zombies = test::zombies();
  for (int slot = 0; slot < count; ++slot) {
    if (!zombies.contains(orphans.pid(slot))) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a hundred staggered orphans are told once each, with their own status, and leave no zombie") {
  everywhere([](milliseconds grace) {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(grace, &told));
    test::orphans orphans(100);
    orphans.make();
    orphans.let_end();
    stage.run_until([&] { return told.size() == 100; });
    CHECK(test::zombies().empty());
    stage.run_for(milliseconds(50));  // nobody is told again
    orphans.check(told);
    CHECK(stage.reaper.stats().unclaimed == 100);
    CHECK(stage.reaper.stats().reaped == 100);
    CHECK_FALSE(stage.reaper.stats().unclaimed_one_by_one);
  });
}

TEST_CASE("without any() the same orphans stay zombies") {
  for (place where : places) {
    bool ran = test::apart(where, [] {
      test::stage stage;
      test::orphans orphans(100);
      orphans.make();
      orphans.let_end();
      orphans.wait_until_all_ended();
      stage.run_for(milliseconds(400));
      CHECK(are_zombies(orphans, 100));
      CHECK(stage.reaper.stats().reaped == 0);
      stage.leaves_children = true;
    });
    if (!ran) MESSAGE("SKIP: not ", test::name_of(where));
  }
}

TEST_CASE("an orphan is left a zombie for the grace, and is told soon after it") {
  bool ran = test::apart(place::subreaper, [] {
    // With a long grace too, where a quarter of it would be more than the 100 ms that the header promises.
    for (milliseconds grace : {milliseconds(100), milliseconds(1000)}) {
      CHECK(test::one_of_three([&] {
        std::vector<child_exit> told;
        test::stage stage(test::any_options(grace, &told));
        test::orphans orphans(
            2, milliseconds(30));  // the second ends when a listing for the first has just been
        orphans.make();
        orphans.let_end();
        std::uint64_t told_ns[2]{};
        auto note_times = [&] {
          for (std::size_t i = 0; i < told.size(); ++i) {
            if (told_ns[i] == 0) told_ns[i] = uv_hrtime();
          }
          return told.size() == 2;
        };
        stage.run_until(note_times);
        bool in_time = true;
        for (int slot = 0; slot < 2; ++slot) {
          auto after = std::chrono::nanoseconds(told_ns[slot] - orphans.ended_ns(slot));
          CHECK(after >= grace);
          auto limit = grace + milliseconds(100 + (test::poller_alone() ? 20 : 0));
          in_time = in_time && after < limit;
        }
        return in_time;
      }));
    }
  });
  if (!ran) MESSAGE("SKIP: no subreaper");
}

TEST_CASE("a chain of fifty dying parents is told link by link") {
  everywhere([](milliseconds grace) {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(grace, &told));
    test::orphans orphans(50);
    orphans.make_chain();
    stage.run_until([&] { return told.size() == 50; });
    orphans.check(told);
  });
}

TEST_CASE("without any() every link of the chain stays a zombie") {
  bool ran = test::apart(place::subreaper, [] {
    test::stage stage;
    test::orphans orphans(50);
    orphans.make_chain();
    orphans.wait_until_all_ended();
    stage.run_for(milliseconds(300));
    CHECK(are_zombies(orphans, 50));
    stage.leaves_children = true;
  });
  if (!ran) MESSAGE("SKIP: no subreaper");
}

TEST_CASE(
    "the main child's end is told to its watch, and the orphans that outlive it are reaped until the stop") {
  everywhere([](milliseconds grace) {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(grace, &told));
    test::orphans orphans(20);
    orphans.make();
    std::vector<child_exit> main_child;
    pid_t pid = 0;
    auto tell_main = [&](const child_exit& exit) { main_child.push_back(exit); };
    REQUIRE(stage.reaper.fork(
                &pid, [] { return 42; }, tell_main) == 0);
    stage.run_until([&] { return !main_child.empty(); });
    CHECK(main_child[0].pid == pid);
    CHECK(main_child[0].status.exit_code() == 42);
    CHECK(told.empty());  // they live

    orphans.let_end();
    stage.run_until([&] { return told.size() == 20; });
    orphans.check(told);
    CHECK(main_child.size() == 1);
  });
}

TEST_CASE("zombies that were there before the reaper are told too") {
  everywhere([](milliseconds grace) {
    test::orphans orphans(10);
    orphans.make();
    orphans.let_end();
    orphans.wait_until_all_ended();
    std::vector<child_exit> told;
    test::stage stage(test::any_options(grace, &told));
    stage.run_until([&] { return told.size() == 10; });
    orphans.check(told);
  });
}

TEST_CASE(
    "a hundred watched children and a hundred orphans end together, and each is told to whom it concerns") {
  everywhere([](milliseconds grace) {
    std::vector<child_exit> told;
    test::stage stage(test::any_options(grace, &told));
    test::orphans orphans(100, milliseconds(0));
    orphans.make();
    test::end_beside_watched(stage, orphans, told);
  });
}
