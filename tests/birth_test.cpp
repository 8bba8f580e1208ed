// A number is not an identity: a watched child is taken by other code of the program, and its number goes, at
// once, to a younger child of the program. The watch is delivered as lost (or recovered, where the kernel
// still has the status), and the younger child is untouched: its owner gets its own status, and no signal
// hits it, whether it lives, has ended before the reaper looks, or has lost its first thread.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "support/stage.hpp"
#include "support/younger.hpp"

using std::chrono::milliseconds;
using test::being;
using test::victim;
using test::younger;
using uvreap::child_exit;

namespace {

// So many that the pidfds which a reaper holds have all gone to others, and the victim is told from a younger
// one by what was noted of it. Under this limit 40 are held (core.md 2).
class bystanders {
 public:
  explicit bystanders(test::stage& stage, int count) : stage_(stage) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit low{160, before_.rlim_max};
    if (count != 0) REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    for (int i = 0; i < count; ++i) {
      pid_t pid = test::make_child([&] { return gate_.wait(), 0; });
      REQUIRE(stage.reaper.watch(
                  pid, [this](const child_exit& exit) { ended_ += exit.status.success() ? 1 : 0; }) == 0);
      ++count_;
    }
  }
  ~bystanders() {
    if (count_ != 0) gate_.open(count_);
    stage_.run_until([&] { return ended_ == count_; });
    ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  bystanders(const bystanders&) = delete;
  bystanders& operator=(const bystanders&) = delete;

 private:
  test::stage& stage_;
  rlimit before_{};
  test::gate gate_;
  int count_ = 0;
  int ended_ = 0;
};

// Each younger child, with the victim's pidfd held by the reaper and without.
void in_each_case(const std::function<void(test::stage&, being)>& scene) {
  for (int crowd : {0, 70}) {
    for (being what : test::beings) {
      CAPTURE(crowd);
      CAPTURE(static_cast<int>(what));
      test::stage stage(test::options_that_find_thefts());
      bystanders others(stage, crowd);
      scene(stage, what);
    }
  }
}

// Long enough for what is due, and then for the poller to come round twice.
void settle(test::stage& stage, const victim& old) {
  stage.run_until([&] { return old.is_delivered(); });
  stage.run_for(milliseconds(50));
}

int pidfd_of(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace

TEST_CASE(
    "negative control: without a theft the older child has its own status, and the younger one has its own") {
  in_each_case([](test::stage& stage, being what) {
    victim old(stage.reaper);
    test::wait_for_another_birth();
    REQUIRE(stage.reaper.kill(old.pid, SIGKILL) == 0);
    stage.run_until([&] { return old.is_delivered(); });
    younger child(old.pid, what);
    if (!child.was_made()) return;
    settle(stage, old);
    CHECK_FALSE(old.told[0].lost);
    CHECK_FALSE(old.told[0].recovered);
    CHECK(old.told[0].status.raw() == test::killed_by(SIGKILL));
    child.check_untouched();
  });
}

TEST_CASE(
    "a child whose number a younger one has is delivered as stolen, and the younger one is its owner's") {
  in_each_case([](test::stage& stage, being what) {
    victim old(stage.reaper);
    stage.turn();
    old.be_stolen();
    younger child(old.pid, what);
    if (!child.was_made()) return;
    settle(stage, old);
    old.check_delivered_as_stolen();
    CHECK(stage.reaper.stats().lost + stage.reaper.stats().recovered == 1);
    child.check_untouched();
  });
}

TEST_CASE("a younger child that ends while the loop turns is its owner's, too") {
  for (being what : {being::alive, being::leaderless}) {
    test::stage stage(test::options_that_find_thefts());
    victim old(stage.reaper);
    old.be_stolen();
    younger child(old.pid, what);
    if (!child.was_made()) return;
    stage.turn();
    child.end();
    settle(stage, old);
    old.check_delivered_as_stolen();
    int word = -1;
    CHECK(::waitpid(child.pid, &word, 0) == child.pid);
    CHECK(word == test::exited_with(younger::code));
  }
}

TEST_CASE("kill() after a theft answers UV_ESRCH, and no signal hits the younger child") {
  in_each_case([](test::stage& stage, being what) {
    for (int signum : {0, SIGKILL}) {
      victim old(stage.reaper);
      stage.turn();
      old.be_stolen();
      younger child(old.pid, what);
      if (!child.was_made()) return;
      CHECK(stage.reaper.kill(old.pid, signum) == UV_ESRCH);
      settle(stage, old);
      CHECK(stage.reaper.kill(old.pid, signum) == UV_ESRCH);
      old.check_delivered_as_stolen();
      child.check_untouched();
    }
  });
}

TEST_CASE("a deadline after a theft ends nobody, and nothing is marked as timed out") {
  in_each_case([](test::stage& stage, being what) {
    victim old(stage.reaper, {.timeout = milliseconds(1), .grace = milliseconds(0)});
    old.be_stolen();
    younger child(old.pid, what);
    if (!child.was_made()) return;
    ::usleep(2000);  // the deadline is due before the reaper looks
    settle(stage, old);
    old.check_delivered_as_stolen();
    child.check_untouched();
  });
}

TEST_CASE("a termination that begins after a theft answers UV_ESRCH and ends nobody") {
  in_each_case([](test::stage& stage, being what) {
    victim old(stage.reaper);
    old.be_stolen();
    younger child(old.pid, what);
    if (!child.was_made()) return;
    CHECK(stage.reaper.terminate(old.pid, milliseconds(0)) == UV_ESRCH);
    settle(stage, old);
    old.check_delivered_as_stolen();
    child.check_untouched();
  });
}

TEST_CASE("the SIGKILL of a termination does not hit the child that got the number during the grace") {
  in_each_case([](test::stage& stage, being what) {
    victim old(stage.reaper);
    REQUIRE(stage.reaper.terminate(old.pid, milliseconds(30)) == 0);
    old.be_stolen();
    younger child(old.pid, what);
    if (!child.was_made()) return;
    ::usleep(31'000);  // the grace is over before the reaper looks
    settle(stage, old);
    old.check_delivered_as_stolen();
    child.check_untouched();
  });
}

TEST_CASE(
    "the same reaper may watch the younger child, by its number or its pidfd, and both are delivered right") {
  for (bool by_pidfd : {false, true}) {
    CAPTURE(by_pidfd);
    in_each_case([by_pidfd](test::stage& stage, being what) {
      victim old(stage.reaper);
      stage.turn();
      old.be_stolen();
      younger child(old.pid, what);
      if (!child.was_made()) return;
      std::vector<child_exit> exits;
      auto note = [&](const child_exit& exit) { exits.push_back(exit); };
      int pidfd = by_pidfd ? pidfd_of(child.pid) : -1;
      REQUIRE((pidfd >= 0 ? stage.reaper.watch_pidfd(pidfd, note) : stage.reaper.watch(child.pid, note)) ==
              0);
      if (pidfd >= 0) ::close(pidfd);
      stage.run_until([&] { return old.is_delivered(); });
      if (what != being::ended) {
        stage.run_for(milliseconds(50));
        CHECK(exits.empty());
        CHECK(stage.reaper.kill(child.pid, 0) == 0);
        child.let_end();
      }
      stage.run_until([&] { return !exits.empty(); });
      stage.run_for(milliseconds(50));
      old.check_delivered_as_stolen();
      child.check_delivered(exits);
    });
  }
}

TEST_CASE("the pidfd of a stolen child does not stand for the younger one with its number") {
  for (being what : test::beings) {
    CAPTURE(static_cast<int>(what));
    test::stage stage(test::options_that_find_thefts());
    victim old(stage.reaper);
    int pidfd = pidfd_of(old.pid);
    if (pidfd < 0) {
      MESSAGE("SKIP: the kernel gives no pidfd in this mode");
      REQUIRE(stage.reaper.kill(old.pid, SIGKILL) == 0);
      stage.run_until([&] { return old.is_delivered(); });
      return;
    }
    old.be_stolen();
    younger child(old.pid, what);
    int error =
        stage.reaper.watch_pidfd(pidfd, [](const child_exit&) { FAIL_CHECK("a stranger was delivered"); });
    ::close(pidfd);
    CHECK(error == UV_ESRCH);
    settle(stage, old);
    old.check_delivered_as_stolen();
    if (child.was_made()) child.check_untouched();
  }
}

TEST_CASE("a detached child that was stolen ends in silence, and the younger one may be watched") {
  in_each_case([](test::stage& stage, being what) {
    victim old(stage.reaper);
    REQUIRE(stage.reaper.detach(old.pid) == 0);
    old.be_stolen();
    younger child(old.pid, what);
    if (!child.was_made()) return;
    std::vector<child_exit> exits;
    REQUIRE(stage.reaper.watch(child.pid, [&](const child_exit& exit) { exits.push_back(exit); }) == 0);
    if (what != being::ended) child.let_end();
    stage.run_until([&] { return !exits.empty(); });
    stage.run_for(milliseconds(50));
    CHECK(old.told.empty());
    child.check_delivered(exits);
  });
}

TEST_CASE("a reserved child that was stolen does not speak for the younger one, reserved like it") {
  for (being what : {being::alive, being::ended}) {
    test::stage stage(test::options_that_find_thefts());
    victim old(stage.reaper);
    REQUIRE(stage.reaper.detach(old.pid) == 0);
    REQUIRE(stage.reaper.watch(old.pid, uvreap::callback{}) == 0);
    old.be_stolen();
    younger child(old.pid, what);
    if (!child.was_made()) return;
    REQUIRE(stage.reaper.watch(child.pid, uvreap::callback{}) == 0);
    if (what == being::alive) child.let_end();
    stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
    std::vector<child_exit> exits;
    REQUIRE(stage.reaper.watch(child.pid, [&](const child_exit& exit) { exits.push_back(exit); }) == 0);
    stage.run_until([&] { return !exits.empty(); });
    stage.run_for(milliseconds(50));
    CHECK(old.told.empty());
    child.check_delivered(exits);
  }
}

TEST_CASE("a reserved child's exit goes to the watch that comes for it, whoever has its number by then") {
  for (bool is_watched_elsewhere : {false, true}) {
    CAPTURE(is_watched_elsewhere);
    in_each_case([&](test::stage& stage, being what) {
      pid_t pid = 0;
      test::wait_for_another_birth();
      REQUIRE(stage.reaper.fork(
                  &pid, [] { return 3; }, uvreap::callback{}) == 0);
      stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
      younger child(pid, what);
      if (!child.was_made()) return;
      uvreap::reaper other(stage.loop, test::options_that_find_thefts());
      std::vector<child_exit> youngers;
      auto note = [&](const child_exit& exit) { youngers.push_back(exit); };
      REQUIRE(other.start() == 0);
      if (is_watched_elsewhere) REQUIRE(other.watch(pid, note) == 0);

      std::vector<child_exit> exits;
      uvreap::watch_options soon{.timeout = milliseconds(1), .grace = milliseconds(0)};
      REQUIRE(stage.reaper.watch(pid, soon, [&](const child_exit& exit) { exits.push_back(exit); }) == 0);
      stage.run_until([&] { return !exits.empty(); });
      stage.run_for(milliseconds(30));
      CHECK(exits[0].status.raw() == test::exited_with(3));
      CHECK(stage.reaper.stats().reserved == 0);
      if (!is_watched_elsewhere) return child.check_untouched();
      if (what != being::ended) child.let_end();
      stage.run_until([&] { return !youngers.empty(); });
      child.check_delivered(youngers);
    });
  }
}

TEST_CASE("a coroutine that waits for a stolen child gets it as stolen, and the younger one is untouched") {
  struct task {
    struct promise_type {
      task get_return_object() { return {}; }
      std::suspend_never initial_suspend() { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() {}
    };
  };
  for (being what : test::beings) {
    CAPTURE(static_cast<int>(what));
    test::stage stage(test::options_that_find_thefts());
    victim old(stage.reaper);
    REQUIRE(stage.reaper.detach(old.pid) == 0);
    std::optional<uvreap::exit_result> result;
    auto wait = [&]() -> task { result = co_await stage.reaper.exit_of(old.pid); };
    wait();
    old.be_stolen();
    younger child(old.pid, what);
    if (!child.was_made()) return stage.run_until([&] { return result.has_value(); });
    stage.run_until([&] { return result.has_value(); });
    stage.run_for(milliseconds(50));
    CHECK(result->error == 0);
    old.told.push_back(result->exit);
    old.check_delivered_as_stolen();
    child.check_untouched();
  }
}

// ---- Two reapers

namespace {

enum class deed { release, close, destroy, detach, kill, terminate, watch, deadline };
constexpr deed deeds[] = {deed::release, deed::close,     deed::destroy, deed::detach,
                          deed::kill,    deed::terminate, deed::watch,   deed::deadline};

void not_to_be_told(const child_exit& exit) { FAIL_CHECK("told of ", exit.pid); }

// Whatever the reaper A does with the number of its stolen child.
void do_to(std::unique_ptr<uvreap::reaper>& a, pid_t pid, deed what) {
  switch (what) {
    case deed::release:
      CHECK(a->release(pid) == 0);
      return;
    case deed::close:
      CHECK(a->close() == 0);
      return;
    case deed::destroy:
      a.reset();
      return;
    case deed::detach:
      CHECK(a->detach(pid) == 0);
      return;
    case deed::kill:
      CHECK(a->kill(pid, SIGKILL) == UV_ESRCH);
      return;
    case deed::terminate:
      CHECK(a->terminate(pid, milliseconds(0)) == UV_ESRCH);
      return;
    case deed::watch:
      CHECK(a->watch(pid, not_to_be_told) == UV_EEXIST);
      return;
    case deed::deadline:
      ::usleep(2000);
      return;
  }
}

void check_end_of(const victim& old, deed what) {
  bool is_dropped =
      what == deed::release || what == deed::close || what == deed::destroy || what == deed::detach;
  CHECK(old.told.empty() == is_dropped);
  if (!is_dropped) old.check_delivered_as_stolen();
}

// The number is chosen where uvreap::fork forks: by this program's own fork(2), which the library calls, too.
pid_t next_number = 0;

}  // namespace

extern "C" pid_t fork() noexcept {
  if (pid_t number = std::exchange(next_number, 0); number != 0) return test::fork_as(number);
  static auto original = reinterpret_cast<pid_t (*)()>(::dlsym(RTLD_NEXT, "fork"));
  return original();
}

namespace {

// A child of reaper.fork() that gets a number, waits at its gate and exits with 7.
struct heir {
  test::gate gate;
  std::vector<child_exit> exits;

  heir(uvreap::reaper& reaper, pid_t number) {
    next_number = number;
    pid_t pid = 0;
    error_ = reaper.fork(
        &pid, [this] { return gate.wait(), 7; }, [this](const child_exit& exit) { exits.push_back(exit); });
    if (error_ != 0) {
      MESSAGE("SKIP: a child's number cannot be chosen here (clone3 set_tid)");
    } else {
      REQUIRE(pid == number);
    }
  }

  [[nodiscard]] bool was_made() const { return error_ == 0; }
  void check_delivered() const {
    REQUIRE(exits.size() == 1);
    CHECK_FALSE(exits[0].lost);
    CHECK_FALSE(exits[0].timed_out);
    CHECK(exits[0].status.raw() == test::exited_with(7));
  }

 private:
  int error_ = 0;
};

}  // namespace

TEST_CASE(
    "whatever a reaper does with the number of its stolen child, another reaper's younger child is "
    "delivered") {
  for (deed what : deeds) {
    for (being its_state : test::beings) {
      CAPTURE(static_cast<int>(what));
      CAPTURE(static_cast<int>(its_state));
      test::stage stage(test::options_that_find_thefts());  // B
      auto a = std::make_unique<uvreap::reaper>(stage.loop, test::options_that_find_thefts());
      REQUIRE(a->start() == 0);
      auto timeout = milliseconds(what == deed::deadline ? 1 : 0);
      victim old(*a, {.ref = false, .timeout = timeout, .grace = milliseconds(0)});
      old.be_stolen();
      younger child(old.pid, its_state);
      if (!child.was_made()) return;
      std::vector<child_exit> exits;
      REQUIRE(stage.reaper.watch(child.pid, [&](const child_exit& exit) { exits.push_back(exit); }) == 0);
      do_to(a, old.pid, what);
      stage.turn();
      if (its_state != being::ended) child.let_end();
      stage.run_until([&] { return !exits.empty(); });
      stage.run_for(milliseconds(50));
      child.check_delivered(exits);
      CHECK(stage.reaper.stats().lost == 0);
      check_end_of(old, what);
      a.reset();
    }
  }
}

TEST_CASE(
    "whatever a reaper does with the number of its stolen child, the child that another has forked is "
    "delivered") {
  for (deed what : deeds) {
    for (bool has_ended : {false, true}) {
      CAPTURE(static_cast<int>(what));
      CAPTURE(has_ended);
      test::stage stage(test::options_that_find_thefts());  // B
      auto a = std::make_unique<uvreap::reaper>(stage.loop, test::options_that_find_thefts());
      REQUIRE(a->start() == 0);
      auto timeout = milliseconds(what == deed::deadline ? 1 : 0);
      victim old(*a, {.ref = false, .timeout = timeout, .grace = milliseconds(0)});
      old.be_stolen();
      heir child(stage.reaper, old.pid);
      if (!child.was_made()) return;
      if (has_ended) child.gate.open(), test::wait_until_ended(old.pid);
      do_to(a, old.pid, what);
      stage.turn();
      if (!has_ended) child.gate.open();
      stage.run_until([&] { return !child.exits.empty(); });
      stage.run_for(milliseconds(50));
      child.check_delivered();
      check_end_of(old, what);
      a.reset();
    }
  }
}

TEST_CASE("a reaper that forks the number of its own stolen child delivers both, each as what it is") {
  for (bool has_ended : {false, true}) {
    CAPTURE(has_ended);
    test::stage stage(test::options_that_find_thefts());
    victim old(stage.reaper);
    old.be_stolen();
    heir child(stage.reaper, old.pid);
    if (!child.was_made()) return;
    child.gate.open();
    if (has_ended) test::wait_until_ended(old.pid);
    stage.run_until([&] { return !child.exits.empty() && old.is_delivered(); });
    stage.run_for(milliseconds(50));
    old.check_delivered_as_stolen();
    child.check_delivered();
  }
}
