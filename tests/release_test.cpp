// Giving a watch up and taking it back: release, forget, and reserved children. Also, what the child does
// with its process group while it is watched.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "support/loop_handle.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

void not_to_be_told(const child_exit& exit) {
  FAIL_CHECK("told of ", exit.pid, ", which nobody may hear of");
}

int word_of(pid_t pid) {
  int word = -1;
  return ::waitpid(pid, &word, 0) == pid ? word : -1;
}

pid_t ended_child(int code) {
  pid_t pid = test::make_child_exiting(code);
  test::wait_until_ended(pid);
  return pid;
}

// Turns the loop until the status of one more child is taken. Its telling is one turn away then.
void turn_until_collected(test::stage& stage) {
  auto holds_the_loop = test::after(stage.loop, std::chrono::minutes(1), [] {});  // a reserved child does not
  auto before = stage.reaper.stats().reaped;
  while (stage.reaper.stats().reaped == before) stage.turn();
}

class listener {
 public:
  [[nodiscard]] uvreap::callback callback() {
    return [this](const child_exit& exit) { told.push_back(exit); };
  }
  std::vector<child_exit> told;
};

}  // namespace

TEST_CASE("a released child is not told, and is ours to wait for") {
  test::stage stage;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(pid, not_to_be_told) == 0);
  CHECK(stage.reaper.release(pid) == 0);
  CHECK(stage.reaper.release(pid) == UV_ESRCH);
  CHECK(stage.reaper.stats().watched == 0);
  gate.open();
  test::wait_until_ended(pid);
  stage.run_for(milliseconds(60));
  CHECK(word_of(pid) == test::exited_with(3));
  CHECK(stage.reaper.stats().reaped == 0);
}

TEST_CASE("a zombie that is released before a pass has seen it is ours to wait for") {
  test::stage stage;
  pid_t pid = ended_child(3);
  REQUIRE(stage.reaper.watch(pid, not_to_be_told) == 0);
  CHECK(stage.reaper.release(pid) == 0);
  stage.run_for(milliseconds(60));
  CHECK(word_of(pid) == test::exited_with(3));
}

TEST_CASE("the release of a collected child comes too late: UV_EALREADY, and it is told") {
  test::stage stage;
  listener listener;
  pid_t pid = ended_child(3);
  REQUIRE(stage.reaper.watch(pid, listener.callback()) == 0);
  turn_until_collected(stage);
  CHECK(listener.told.empty());
  CHECK(stage.reaper.release(pid) == UV_EALREADY);
  CHECK(stage.reaper.kill(pid, SIGKILL) == UV_ESRCH);
  CHECK(stage.reaper.watch(pid, not_to_be_told) == UV_ESRCH);
  stage.run_until([&] { return !listener.told.empty(); });
  CHECK(listener.told[0].status.raw() == test::exited_with(3));
  CHECK(stage.reaper.release(pid) == UV_ESRCH);
}

TEST_CASE("a released child can be watched again") {
  test::stage stage;
  test::gate gate;
  listener listener;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  for (int times = 0; times < 10; ++times) {
    REQUIRE(stage.reaper.watch(pid, not_to_be_told) == 0);
    REQUIRE(stage.reaper.release(pid) == 0);
  }
  REQUIRE(stage.reaper.watch(pid, listener.callback()) == 0);
  gate.open();
  stage.run_until([&] { return !listener.told.empty(); });
  stage.run_for(milliseconds(30));
  CHECK(listener.told.size() == 1);
}

TEST_CASE("a forgotten child is not told, but reaped, and its callback is destroyed at once") {
  test::stage stage;
  test::gate gate;
  auto token = std::make_shared<int>(0);
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(pid, [token](const child_exit& exit) { not_to_be_told(exit); }) == 0);
  CHECK(token.use_count() == 2);
  CHECK(stage.reaper.detach(pid) == 0);
  CHECK(token.use_count() == 1);
  CHECK(stage.reaper.detach(pid) == 0);  // forgotten it stays
  CHECK(stage.reaper.stats().watched == 1);
  gate.open();
  stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
  stage.run_for(milliseconds(30));
  CHECK(stage.reaper.detach(pid) == UV_ESRCH);
}

TEST_CASE("a forgotten child is taken back by watch, and told to the new callback alone") {
  test::stage stage;
  test::gate gate;
  listener listener;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(pid, not_to_be_told) == 0);
  REQUIRE(stage.reaper.detach(pid) == 0);
  REQUIRE(stage.reaper.watch(pid, listener.callback()) == 0);
  CHECK(stage.reaper.watch(pid, not_to_be_told) == UV_EEXIST);
  gate.open();
  stage.run_until([&] { return !listener.told.empty(); });
  CHECK(listener.told[0].status.raw() == test::exited_with(3));
}

TEST_CASE("to forget a collected child drops its telling, and the others' stay") {
  auto options = test::options_of_this_run();
  options.budget_time = std::chrono::seconds(10);  // both are collected in one pass, however slow
  test::stage stage(options);
  listener listener;
  pid_t pid = ended_child(3);
  pid_t other = ended_child(4);
  REQUIRE(stage.reaper.watch(pid, not_to_be_told) == 0);
  REQUIRE(stage.reaper.watch(other, listener.callback()) == 0);
  while (stage.reaper.stats().reaped != 2) stage.turn();
  REQUIRE(listener.told.empty());
  CHECK(stage.reaper.detach(pid) == 0);
  CHECK(stage.reaper.detach(pid) == UV_ESRCH);
  stage.run_until([&] { return !listener.told.empty(); });
  CHECK(listener.told[0].pid == other);
  stage.run_for(milliseconds(30));
}

TEST_CASE("a reserved child is reaped and kept, and told when watch brings a callback") {
  test::stage stage;
  listener listener;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(pid, uvreap::callback{}) == 0);
  gate.open();
  stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
  stage.run_for(milliseconds(30));
  CHECK(stage.reaper.stats().watched == 0);
  REQUIRE(stage.reaper.watch(pid, listener.callback()) == 0);
  CHECK(listener.told.empty());  // never inside the call
  stage.run_until([&] { return !listener.told.empty(); });
  CHECK(listener.told[0].pid == pid);
  CHECK(listener.told[0].status.raw() == test::exited_with(3));
  CHECK(stage.reaper.watch(pid, not_to_be_told) == UV_ESRCH);
}

TEST_CASE("a reserved child that lives is told to the callback that watch brings") {
  test::stage stage;
  listener listener;
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), 3; });
  REQUIRE(stage.reaper.watch(pid, uvreap::callback{}) == 0);
  REQUIRE(stage.reaper.watch(pid, uvreap::callback{}) == 0);  // reserved it stays
  REQUIRE(stage.reaper.watch(pid, listener.callback()) == 0);
  CHECK(stage.reaper.watch(pid, not_to_be_told) == UV_EEXIST);
  gate.open();
  stage.run_until([&] { return !listener.told.empty(); });
  stage.run_for(milliseconds(30));
  CHECK(listener.told.size() == 1);
}

TEST_CASE("a reserved child that is reaped stays reserved when it is reserved again") {
  test::stage stage;
  listener listener;
  pid_t pid = ended_child(3);
  REQUIRE(stage.reaper.watch(pid, uvreap::callback{}) == 0);
  turn_until_collected(stage);
  CHECK(stage.reaper.watch(pid, uvreap::callback{}) == 0);
  stage.run_for(milliseconds(30));
  REQUIRE(stage.reaper.watch(pid, listener.callback()) == 0);
  stage.run_until([&] { return !listener.told.empty(); });
  CHECK(listener.told[0].status.raw() == test::exited_with(3));
}

TEST_CASE("a reserved child can be released while it lives, and forgotten when it is reaped") {
  test::stage stage;
  test::gate gate;
  pid_t living = test::make_child([&] { return gate.wait(), 3; });
  pid_t ended = ended_child(4);
  REQUIRE(stage.reaper.watch(living, uvreap::callback{}) == 0);
  REQUIRE(stage.reaper.watch(ended, uvreap::callback{}) == 0);
  turn_until_collected(stage);
  CHECK(stage.reaper.release(ended) == UV_EALREADY);
  CHECK(stage.reaper.detach(ended) == 0);
  CHECK(stage.reaper.watch(ended, not_to_be_told) == UV_ESRCH);
  CHECK(stage.reaper.release(living) == 0);
  gate.open();
  CHECK(word_of(living) == test::exited_with(3));
}

TEST_CASE("fork with an empty callback reserves, and watch brings the callback later") {
  test::stage stage;
  listener listener;
  pid_t pid = 0;
  REQUIRE(stage.reaper.fork(
              &pid, [] { return 8; }, uvreap::callback{}) == 0);
  stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
  REQUIRE(stage.reaper.watch(pid, listener.callback()) == 0);
  stage.run_until([&] { return !listener.told.empty(); });
  CHECK(listener.told[0].status.raw() == test::exited_with(8));
}

TEST_CASE("a child that changes its process group or session while it is watched is told all the same") {
  test::stage stage;
  listener listener;
  test::gate gate;
  pid_t own_group = test::make_child([&] { return gate.wait(), ::setpgid(0, 0) == 0 ? 1 : 99; });
  pid_t own_session = test::make_child([&] { return gate.wait(), ::setsid() > 0 ? 2 : 99; });
  pid_t moved = test::make_child([&] { return gate.wait(), 3; });
  for (pid_t pid : {own_group, own_session, moved}) {
    REQUIRE(stage.reaper.watch(pid, listener.callback()) == 0);
  }
  REQUIRE(::setpgid(moved, moved) == 0);
  gate.open(3);
  stage.run_until([&] { return listener.told.size() == 3; });
  for (const child_exit& exit : listener.told) {
    int code = exit.pid == own_group ? 1 : exit.pid == own_session ? 2 : 3;
    CHECK(exit.status.raw() == test::exited_with(code));
  }
}

TEST_CASE("a number whose child was told can be watched again when a younger child has it") {
  test::stage stage;
  listener listener;
  pid_t pid = ended_child(3);
  REQUIRE(stage.reaper.watch(pid, listener.callback()) == 0);
  stage.run_until([&] { return !listener.told.empty(); });
  CHECK(stage.reaper.watch(pid, not_to_be_told) == UV_ESRCH);  // and not UV_EEXIST: nobody claims the number
}
