// What a callback holds on to: it lives until the callback has returned, is destroyed exactly once, and its
// destructor is somebody else's code, which may call the reaper too.
#include <doctest/doctest.h>
#include <unistd.h>

#include <memory>

#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

pid_t ended_child(int code) {
  pid_t pid = test::make_child_exiting(code);
  test::wait_until_ended(pid);
  return pid;
}

// Runs something when the last copy of a callback is destroyed.
class at_the_end {
 public:
  explicit at_the_end(std::function<void()> call)
      : held_(nullptr, [call = std::move(call)](void*) { call(); }) {}

 private:
  std::shared_ptr<void> held_;
};

// How a callback goes: each of these, with a destructor that ends the reaper.
enum class going { told, released, forgotten, forgotten_when_collected, taken_back, change_listener };

void let_go(test::stage& stage, going how, at_the_end last) {
  test::gate gate;
  bool ended = how == going::told || how == going::forgotten_when_collected;
  pid_t pid = ended ? ended_child(3) : test::make_child([&] { return gate.wait(), 3; });
  if (how == going::taken_back || how == going::change_listener) {
    // A reserved child has no callback, but it may have one for changes, and that is replaced by the next
    // watch.
    auto on_change = [last](const uvreap::child_change&) {};
    REQUIRE(stage.reaper.watch(pid, {.on_change = on_change}, uvreap::callback{}) == 0);
  } else {
    REQUIRE(stage.reaper.watch(pid, [last](const child_exit&) {}) == 0);
  }
  last = at_the_end([] {});  // the callback's copy is the last one now
  switch (how) {
    case going::told:
      stage.run_for(milliseconds(30));
      break;
    case going::released:
      CHECK(stage.reaper.release(pid) == 0);
      break;
    case going::forgotten:
    case going::change_listener:
      CHECK(stage.reaper.detach(pid) == 0);
      break;
    case going::forgotten_when_collected:
      while (stage.reaper.stats().reaped == 0) stage.turn();
      CHECK(stage.reaper.detach(pid) == 0);
      break;
    case going::taken_back:
      CHECK(stage.reaper.watch(pid, [](const child_exit&) {}) == 0);
      break;
  }
  gate.open();
  test::wait_until_ended(pid);
}

constexpr going all_goings[] = {going::told,       going::released,
                                going::forgotten,  going::forgotten_when_collected,
                                going::taken_back, going::change_listener};

}  // namespace

TEST_CASE("captures are destroyed after the callback has returned, and once") {
  test::stage stage;
  bool inside = false;
  bool destroyed_inside = false;
  int destroyed = 0;
  int told = 0;
  {
    at_the_end last([&] { ++destroyed, destroyed_inside = inside; });
    auto tell = [&, last](const child_exit&) {
      inside = true;
      CHECK(destroyed == 0);
      (void)stage.reaper.stats();
      inside = false;
      ++told;
    };
    REQUIRE(stage.reaper.watch(ended_child(3), std::move(tell)) == 0);
  }
  stage.run_until([&] { return told == 1; });
  CHECK(destroyed == 1);
  CHECK_FALSE(destroyed_inside);
}

TEST_CASE("captures live on when their own callback closes or destroys the reaper") {
  for (bool destroys : {false, true}) {
    CAPTURE(destroys);
    test::stage stage;
    int destroyed = 0;
    int told = 0;
    {
      at_the_end last([&] { ++destroyed; });
      auto tell = [&, last](const child_exit&) {
        if (destroys) stage.destroy_reaper();
        if (!destroys) CHECK(stage.reaper.close() == 0);
        told += destroyed == 0 ? 1 : 100;
      };
      REQUIRE(stage.reaper.watch(ended_child(3), std::move(tell)) == 0);
    }
    stage.run_until([&] { return told != 0; });
    CHECK(told == 1);
    CHECK(destroyed == 1);
  }
}

TEST_CASE("captures of many watches are destroyed by close, at once and once each") {
  test::stage stage;
  test::gate gate;
  int destroyed = 0;
  for (int i = 0; i < 20; ++i) {
    at_the_end last([&] { ++destroyed; });
    pid_t pid = test::make_child([&] { return gate.wait(), 0; });
    REQUIRE(stage.reaper.watch(pid, [last](const child_exit&) {}) == 0);
  }
  CHECK(stage.reaper.close() == 0);
  CHECK(destroyed == 20);
  gate.open(20);
  CHECK(test::clean_up_children() == 20);
}

TEST_CASE("a capture's destructor may close the reaper, however the callback goes") {
  for (going how : all_goings) {
    CAPTURE(static_cast<int>(how));
    test::stage stage;
    int destroyed = 0;
    let_go(stage, how, at_the_end([&] { ++destroyed, (void)stage.reaper.close(); }));
    CHECK(destroyed == 1);
    stage.run_for(milliseconds(20));
    test::clean_up_children();
  }
}

TEST_CASE("a capture's destructor may destroy the reaper, however the callback goes") {
  for (going how : all_goings) {
    CAPTURE(static_cast<int>(how));
    test::stage stage;
    int destroyed = 0;
    let_go(stage, how, at_the_end([&] { ++destroyed, stage.destroy_reaper(); }));
    CHECK(destroyed == 1);
    stage.run_for(milliseconds(20));
    test::clean_up_children();
  }
}

TEST_CASE("a capture's destructor may watch, forget and release other children") {
  test::stage stage;
  test::gate gate;
  pid_t other = test::make_child([&] { return gate.wait(), 4; });
  int told = 0;
  {
    at_the_end last([&] {
      auto tell = [&](const child_exit& exit) { told += exit.status.exit_code() == 4 ? 1 : 100; };
      CHECK(stage.reaper.watch(other, [](const child_exit&) {}) == 0);
      CHECK(stage.reaper.detach(other) == 0);
      CHECK(stage.reaper.release(other) == 0);
      CHECK(stage.reaper.watch(other, tell) == 0);
      gate.open();
    });
    REQUIRE(stage.reaper.watch(ended_child(3), [last](const child_exit&) {}) == 0);
  }
  stage.run_until([&] { return told == 1; });
}
