// What any() costs a program with many handles: it asks libuv's loop for the processes of uv_spawn by
// uv_walk, which nothing can interrupt, so it does that seldom.
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "support/orphans.hpp"
#include "support/own_process.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {
int walks = 0;
}  // namespace

// The library calls this one.
extern "C" void uv_walk(uv_loop_t* loop, uv_walk_cb visit, void* data) {
  static auto original =
      reinterpret_cast<void (*)(uv_loop_t*, uv_walk_cb, void*)>(::dlsym(RTLD_NEXT, "uv_walk"));
  ++walks;
  original(loop, visit, data);
}

namespace {

class idle_handles {
 public:
  idle_handles(uv_loop_t& loop, std::size_t count)
      : timers_(std::make_unique<uv_timer_t[]>(count)), count_(count) {
    for (std::size_t i = 0; i < count; ++i) uv_timer_init(&loop, &timers_[i]);
  }
  void close() {
    for (std::size_t i = 0; i < count_; ++i) uv_close(reinterpret_cast<uv_handle_t*>(&timers_[i]), nullptr);
  }

 private:
  std::unique_ptr<uv_timer_t[]> timers_;
  std::size_t count_;
};

struct cost {
  int walks = 0;
  std::chrono::nanoseconds time{0};
};

// 400 orphans, which end at once before the loop looks, or one after another while it turns.
cost have_400_delivered(milliseconds grace, std::chrono::microseconds apart) {
  std::vector<child_exit> told;
  test::stage stage(test::any_options(grace, &told));
  idle_handles others(stage.loop, 20'000);
  test::orphans orphans(400, apart);
  orphans.make();
  stage.run_for(milliseconds(20));
  walks = 0;
  orphans.let_end();
  if (apart.count() == 0) orphans.wait_until_all_ended();
  test::stopwatch since;
  stage.run_until([&] { return told.size() == 400; });
  cost cost{.walks = walks, .time = since.elapsed()};
  orphans.check(told);
  others.close();
  stage.turn();
  return cost;
}

}  // namespace

TEST_CASE("beside 20 000 handles 400 orphans that have ended are all delivered, for at most 20 walks") {
  for (auto grace : {milliseconds(1), milliseconds(20), milliseconds(100)}) {
    CAPTURE(grace.count());
    auto scene = [&] {
      cost cost = have_400_delivered(grace, std::chrono::microseconds(0));
      CHECK(cost.walks >= 1);
      CHECK(cost.walks <= 20);
    };
    if (!test::apart(test::place::subreaper, scene)) MESSAGE("SKIP: no subreaper here");
  }
}

TEST_CASE(
    "while orphans end one after another there is one walk in 10 ms at most, and in 50 ms for a long grace") {
  struct pace {
    milliseconds grace;
    milliseconds between;
  };
  for (pace pace : {pace{milliseconds(20), milliseconds(10)}, pace{milliseconds(300), milliseconds(50)}}) {
    CAPTURE(pace.grace.count());
    auto scene = [&] {
      cost cost = have_400_delivered(pace.grace, std::chrono::microseconds(2000));
      CHECK(cost.walks <= cost.time / pace.between + 2);
    };
    if (!test::apart(test::place::subreaper, scene)) MESSAGE("SKIP: no subreaper here");
  }
}

TEST_CASE("a walk, which nothing can interrupt, is the whole budget of its turn") {
  auto scene = [] {
    std::vector<child_exit> told;
    auto options = test::any_options(milliseconds(0), &told);
    options.budget = 1000;
    options.budget_time = std::chrono::seconds(10);
    test::stage stage(options);
    test::orphans orphans(3);
    orphans.make();
    stage.run_for(milliseconds(20));
    orphans.let_end();
    orphans.wait_until_all_ended();
    stage.run_until([&] { return told.size() == 3; });
    CHECK(stage.reaper.stats().budget_spent_turns >= 1);
    orphans.check(told);
  };
  if (!test::apart(test::place::subreaper, scene)) MESSAGE("SKIP: no subreaper here");
}

TEST_CASE("an idle any() reaper does not walk, and neither do children that are watched") {
  test::stage stage(test::any_options(milliseconds(20), nullptr));
  stage.run_for(milliseconds(50));
  walks = 0;
  int told = 0;
  for (int i = 0; i < 50; ++i) {
    pid_t pid = 0;
    REQUIRE(stage.reaper.fork(
                &pid, [] { return 0; }, [&](const child_exit&) { ++told; }) == 0);
  }
  stage.run_until([&] { return told == 50; });
  stage.run_for(milliseconds(150));
  CHECK(walks <= 2);  // a watched zombie may be seen in the moment between its end and its collection
}
