// Somebody else waits for a child of ours: the exit is told as lost or recovered, once, and no status is made
// up for it.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "support/fork_as.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

constexpr auto poll_interval = milliseconds(200);

// The rung that can only find a theft by asking for each child. Others hear of it at once, or even have the
// status.
uvreap::options asking_by_number() {
  auto options = test::options_of_this_run();
  options.backend = uvreap::backend_kind::peek;
  options.poll_every = poll_interval;
  return options;
}

// A watched child that waits to be let go, and what was told of it.
struct victim {
  test::gate gate;
  pid_t pid = 0;
  int true_word;
  std::vector<child_exit> told;

  explicit victim(test::stage& stage, int code = 3) : true_word(test::exited_with(code)) {
    pid = test::make_child([this, code] { return gate.wait(), code; });
    REQUIRE(stage.reaper.watch(pid, [this](const child_exit& exit) { told.push_back(exit); }) == 0);
  }

  void end() {
    gate.open();
    test::wait_until_ended(pid);
  }
  int be_stolen() {
    gate.open();
    int word = -1;
    REQUIRE(::waitpid(pid, &word, 0) == pid);
    return word;
  }
  // Lost; or recovered, with the true status, where the reaper holds the pidfd and the kernel still knows
  // (6.15).
  void check_told_once_as_taken() const {
    REQUIRE(told.size() == 1);
    CHECK(told[0].pid == pid);
    CHECK(told[0].lost != told[0].recovered);
    CHECK(told[0].status.raw() == (told[0].recovered ? true_word : uvreap::wait_status{}.raw()));
    CHECK(told[0].usage == uvreap::resource_usage{});
  }
};

std::uint64_t taken(test::stage& stage) { return stage.reaper.stats().lost + stage.reaper.stats().recovered; }

// A process that has a stolen child's number, and is no child of ours but our child's. It waits for any
// signal; its parent waits for the gate, and then ends with 0 if no signal has reached it.
class namesake {
 public:
  explicit namesake(pid_t number) {
    REQUIRE(::pipe(ready_) == 0);
    parent_ = test::make_child([this, number] { return watch_over(number); });
    ::close(ready_[1]);
    char answer = 'n';
    is_there_ = ::read(ready_[0], &answer, 1) == 1 && answer == 'y';
    ::close(ready_[0]);
  }

  [[nodiscard]] bool is_there() const { return is_there_; }
  bool was_left_in_peace() {
    gate_.open();
    int word = -1;
    return ::waitpid(parent_, &word, 0) == parent_ && word == 0;
  }

 private:
  int watch_over(pid_t number) {
    pid_t pid = test::fork_as(number);
    if (pid == 0) {
      for (;;) ::pause();
    }
    char answer = pid == number ? 'y' : 'n';
    if (::write(ready_[1], &answer, 1) != 1 || pid != number) return 1;
    gate_.wait();
    bool lives = ::waitpid(pid, nullptr, WNOHANG) == 0;
    ::kill(pid, SIGKILL);
    if (lives) ::waitpid(pid, nullptr, 0);
    return lives ? 0 : 1;
  }

  int ready_[2]{};
  test::gate gate_;
  pid_t parent_ = 0;
  bool is_there_ = false;
};

}  // namespace

TEST_CASE(
    "a child that the program waited for itself is told as lost or recovered, once, within the poll "
    "interval") {
  CHECK(test::one_of_three([] {
    test::stage stage(asking_by_number());
    victim child(stage);
    stage.turn();
    CHECK(child.be_stolen() == test::exited_with(3));
    test::stopwatch since;
    stage.run_until([&] { return !child.told.empty(); });
    bool in_time = since.elapsed() <= poll_interval + milliseconds(100);
    stage.run_for(2 * poll_interval);
    child.check_told_once_as_taken();
    CHECK(taken(stage) == 1);
    CHECK(stage.reaper.stats().reaped == 0);
    return in_time;
  }));
}

TEST_CASE("fifty thefts among fifty honest exits are told as what they are") {
  test::stage stage(asking_by_number());
  std::vector<std::unique_ptr<victim>> children;
  for (int i = 0; i < 100; ++i) children.push_back(std::make_unique<victim>(stage, i));
  for (std::size_t i = 0; i < 100; i += 2) {
    (void)children[i]->be_stolen();
    children[i + 1]->end();
  }
  stage.run_until([&] { return stage.reaper.stats().watched == 0; });
  stage.run_for(poll_interval);
  for (std::size_t i = 0; i < 100; i += 2) {
    children[i]->check_told_once_as_taken();
    REQUIRE(children[i + 1]->told.size() == 1);
    CHECK(children[i + 1]->told[0].status.raw() == test::exited_with(static_cast<int>(i) + 1));
  }
  CHECK(taken(stage) == 50);
  CHECK(stage.reaper.stats().reaped == 50);
  CHECK(stage.reaper.stats().missed <= 50);  // a stolen exit was told by its signal: nothing was missed
}

TEST_CASE("on the rung of pidfds a theft is told by the kernel, with the true status or as lost") {
  auto options = test::options_of_this_run();
  options.backend = uvreap::backend_kind::pidfd;
  options.poll_every = milliseconds(0);
  if (test::pidfds_are_refused()) {
    MESSAGE("SKIP: the kernel gives no pidfd in this mode");
    return;
  }
  test::stage stage(options);
  victim child(stage);
  stage.turn();
  CHECK(child.be_stolen() == test::exited_with(3));
  stage.run_until([&] { return !child.told.empty(); });
  if (!child.told[0].recovered) return child.check_told_once_as_taken();  // before 6.15
  REQUIRE(child.told.size() == 1);
  CHECK_FALSE(child.told[0].lost);
  CHECK(child.told[0].status.raw() == test::exited_with(3));
  CHECK(child.told[0].usage == uvreap::resource_usage{});
}

TEST_CASE("somebody who looks with WNOWAIT, before and after the exit, takes nothing") {
  test::stage stage(asking_by_number());
  victim child(stage);
  std::atomic<bool> over{false};
  std::atomic<int> seen_ended{0};
  std::thread onlooker([&] {
    while (!over) {
      siginfo_t info{};
      int result = ::waitid(P_PID, static_cast<id_t>(child.pid), &info, WEXITED | WNOHANG | WNOWAIT);
      if (result == 0 && info.si_pid == child.pid) ++seen_ended;
    }
  });
  stage.run_for(milliseconds(20));
  child.end();
  while (seen_ended < 100) std::this_thread::yield();
  stage.run_until([&] { return !child.told.empty(); });
  over = true;
  onlooker.join();
  REQUIRE(child.told.size() == 1);
  CHECK_FALSE(child.told[0].lost);
  CHECK(child.told[0].status.raw() == test::exited_with(3));
}

TEST_CASE(
    "a child that is released before its exit is the program's: no callback, and its pid and status intact") {
  test::stage stage(asking_by_number());
  victim child(stage, 9);
  stage.turn();
  REQUIRE(stage.reaper.release(child.pid) == 0);
  child.end();
  stage.run_for(2 * poll_interval);
  int word = -1;
  CHECK(::waitpid(child.pid, &word, 0) == child.pid);
  CHECK(word == test::exited_with(9));
  CHECK(child.told.empty());
  CHECK(stage.reaper.stats().watched == 0);
}

TEST_CASE(
    "kill after a theft says ESRCH, hits nobody who has the number now, and the child is told as taken") {
  test::stage stage(asking_by_number());
  victim child(stage);
  CHECK(stage.reaper.kill(child.pid, 0) == 0);  // ours, and alive
  (void)child.be_stolen();
  namesake stranger(child.pid);
  if (!stranger.is_there())
    MESSAGE("SKIP: a process with the stolen number cannot be made here (clone3 set_tid)");
  CHECK(stage.reaper.kill(child.pid, SIGTERM) == UV_ESRCH);
  stage.run_until([&] { return !child.told.empty(); });
  child.check_told_once_as_taken();
  CHECK(stage.reaper.kill(child.pid, SIGTERM) == UV_ESRCH);
  bool left_in_peace = stranger.was_left_in_peace();
  if (stranger.is_there()) CHECK(left_in_peace);
}

TEST_CASE("a forgotten child is reaped without a word, and one that was stolen ends in silence, too") {
  test::stage stage(asking_by_number());
  victim reaped(stage);
  victim stolen(stage);
  REQUIRE(stage.reaper.detach(reaped.pid) == 0);
  REQUIRE(stage.reaper.detach(stolen.pid) == 0);
  reaped.end();
  (void)stolen.be_stolen();
  stage.run_until([&] { return stage.reaper.stats().watched == 0; });
  stage.run_for(milliseconds(30));
  CHECK(reaped.told.empty());
  CHECK(stolen.told.empty());
  CHECK(test::zombies().empty());
  CHECK(stage.reaper.stats().reaped == 1);
  CHECK(taken(stage) == 1);
}

TEST_CASE("what is collected and untold cannot be released, and is told; or forgotten, and is not") {
  test::stage stage(asking_by_number());
  auto collect = [&](victim& child) {  // it is told one turn later
    child.end();
    auto before = stage.reaper.stats().reaped;
    while (stage.reaper.stats().reaped == before) uv_run(&stage.loop, UV_RUN_ONCE);
    REQUIRE(child.told.empty());
  };
  victim released(stage, 4);
  collect(released);
  CHECK(stage.reaper.release(released.pid) == UV_EALREADY);
  CHECK(stage.reaper.kill(released.pid, SIGTERM) == UV_ESRCH);
  stage.run_for(milliseconds(30));
  REQUIRE(released.told.size() == 1);
  CHECK(released.told[0].status.raw() == test::exited_with(4));
  CHECK(stage.reaper.release(released.pid) == UV_ESRCH);

  victim forgotten(stage, 5);
  collect(forgotten);
  CHECK(stage.reaper.detach(forgotten.pid) == 0);
  CHECK(stage.reaper.detach(forgotten.pid) == UV_ESRCH);
  stage.run_for(milliseconds(30));
  CHECK(forgotten.told.empty());
}
