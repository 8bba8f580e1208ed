// SIGCHLD says nothing: blocked, ignored, eaten by somebody. The poller finds the exits, within its interval.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "support/bare_loop.hpp"
#include "support/crowd.hpp"
#include "support/signal_state.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;
using uvreap::sigchld_health;
using uvreap::sigchld_use;

namespace {

constexpr const char* second_life = "UVREAP_TEST_SECOND_LIFE";
bool in_second_life() { return std::getenv(second_life) != nullptr; }
int descriptor_of_first_life() {
  const char* number = std::getenv(second_life);
  return number == nullptr ? -1 : std::atoi(number);
}

// The last thing that a test case does in its second life: a filter that matched nothing would hold, too.
void say_that_it_held() { REQUIRE(::write(descriptor_of_first_life(), "x", 1) == 1); }

// Runs the test case of that name once more, in this program executed afresh, after prepare has been called
// in the new process: what exec hands on can be had in no other way. True if it held there.
bool holds_after_exec(const char* test_case, void (*prepare)()) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::setenv(second_life, std::to_string(ends[1]).c_str(), 1);
    prepare();
    // A comma in a filter separates two of them, so the names of these test cases have none.
    std::string filter = "--test-case=" + std::string(test_case);
    auto program = std::filesystem::read_symlink("/proc/self/exe");  // as it is, it would be valgrind there
    ::execl(program.c_str(), "test", filter.c_str(), "--minimal", nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  int word = -1;
  while (::waitpid(pid, &word, 0) < 0 && errno == EINTR) {
  }
  char said = 0;
  bool held = ::read(ends[0], &said, 1) == 1;
  ::close(ends[0]);
  return word == 0 && held;
}

void block_sigchld() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

void ignore_sigchld() { ::signal(SIGCHLD, SIG_IGN); }

bool sigchld_is_blocked() {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return sigismember(&mask, SIGCHLD) == 1;
}

// Takes every SIGCHLD of the process, as long as it lives. All other threads must have it blocked.
class eater_of_sigchld {
 public:
  eater_of_sigchld() : thread_([] { eat(); }) {}
  ~eater_of_sigchld() {
    ::pthread_kill(thread_.native_handle(), SIGUSR1);
    thread_.join();
  }
  eater_of_sigchld(const eater_of_sigchld&) = delete;
  eater_of_sigchld& operator=(const eater_of_sigchld&) = delete;

 private:
  static void eat() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    for (int signum = 0; signum != SIGUSR1;) ::sigwait(&set, &signum);
  }
  std::thread thread_;
};

}  // namespace

TEST_CASE("with SIGCHLD blocked from exec on 50 children are told within the poll interval and 100 ms") {
  if (!in_second_life()) {
    CHECK(holds_after_exec("with SIGCHLD blocked from exec on 50 children*", block_sigchld));
    return;
  }
  REQUIRE(sigchld_is_blocked());
  CHECK(test::one_of_three([] {
    test::stage stage(test::heard_by_signal(milliseconds(200)));
    test::crowd children(stage, 50);
    children.end();
    CHECK(stage.reaper.stats().sigchld == sigchld_health::blocked);
    test::stopwatch since;
    stage.run_until([&] { return children.complete(); });
    bool in_time = since.elapsed() <= milliseconds(200 + 100);
    children.check_each_told_once();
    CHECK(children.by_poller() == 50);
    return in_time;
  }));
  say_that_it_held();
}

TEST_CASE("exits while SIGCHLD is blocked are told when it is unblocked") {
  test::stage stage(test::heard_by_signal(milliseconds(0)));
  test::crowd children(stage, 50);
  {
    test::sigchld_blocked guard;
    children.end();
    stage.run_for(milliseconds(200));
    CHECK(children.told() == 0);  // there is no poller, so this is what the signal alone does
    CHECK(stage.reaper.stats().sigchld == sigchld_health::blocked);
  }
  children.check_each_told_once();
  CHECK(stage.reaper.stats().sigchld == sigchld_health::healthy);
}

TEST_CASE("SIGCHLD that was ignored before exec is repaired by start and statuses are intact") {
  if (!in_second_life()) {
    CHECK(holds_after_exec("SIGCHLD that was ignored before exec*", ignore_sigchld));
    return;
  }
  for (sigchld_use use : {sigchld_use::when_needed, sigchld_use::always}) {
    REQUIRE(test::sigchld_action::is(SIG_IGN));
    test::stage stage(test::heard_by_signal(milliseconds(0), use));
    CHECK(stage.reaper.stats().sigchld == sigchld_health::healthy);
    test::crowd children(stage, 20);
    children.end();
    children.check_each_told_once();
    stage.destroy_reaper();
    stage.turn();
    ignore_sigchld();  // libuv leaves SIG_DFL: as it was, for the second round
  }
  say_that_it_held();
}

TEST_CASE("SA_NOCLDWAIT is ignoring too, and start repairs it") {
  test::sigchld_action leaves_no_zombies(SIG_DFL, SA_NOCLDWAIT);
  test::stage stage(test::heard_by_signal(milliseconds(0), sigchld_use::when_needed));
  test::crowd children(stage, 5);
  children.end();
  children.check_each_told_once();
}

TEST_CASE(
    "SIGCHLD ignored after start is repaired by the next poll, and who ended meanwhile is told as taken") {
  test::stage stage(test::heard_by_signal(milliseconds(100)));
  test::gate first;
  test::crowd later(stage, 5);
  pid_t pid = test::make_child([&] { return first.wait(), 3; });
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);

  test::sigchld_action undone_at_the_end(SIG_IGN);
  CHECK(stage.reaper.stats().sigchld == sigchld_health::ignored);
  first.open();
  test::wait_until_ended(pid);  // gone, and no zombie was there
  stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].lost != told[0].recovered);  // recovered where its pidfd is held and the kernel knows (6.15)
  CHECK(told[0].status.raw() == (told[0].recovered ? test::exited_with(3) : uvreap::wait_status{}.raw()));
  CHECK(told[0].usage == uvreap::resource_usage{});
  CHECK_FALSE(test::sigchld_action::is(SIG_IGN));
  CHECK(stage.reaper.stats().sigchld == sigchld_health::healthy);
  later.end();
  later.check_each_told_once();
  CHECK(told.size() == 1);
}

TEST_CASE("without its SIGCHLD a reaper refuses to start where exits leave no status") {
  for (int flags : {0, SA_NOCLDWAIT}) {
    test::bare_loop bare;
    uvreap::reaper reaper(bare.loop, test::heard_by_signal(milliseconds(20), sigchld_use::never));
    {
      test::sigchld_action ignoring(flags == 0 ? SIG_IGN : SIG_DFL, flags);
      CHECK(reaper.start() == UV_EINVAL);
    }
    CHECK(reaper.start() == 0);  // and the refusal left nothing half made
  }
}

TEST_CASE(
    "exits whose SIGCHLD another thread eats are found by the poller, counted as missed, and health says "
    "so") {
  test::stage stage(test::heard_by_signal(milliseconds(100)));
  {
    test::sigchld_blocked guard;
    eater_of_sigchld eater;
    test::crowd children(stage, 10);
    children.end();
    children.check_each_told_once();
    CHECK(children.by_poller() == 10);
    auto stats = stage.reaper.stats();
    CHECK(stats.missed == 10);
    CHECK(stats.wakeups_by_sigchld == 0);
    CHECK(stats.sigchld == sigchld_health::unheard);
  }
  test::crowd heard_again(stage, 1);
  heard_again.end();
  stage.run_until([&] { return stage.reaper.stats().wakeups_by_sigchld > 0; });
  heard_again.check_each_told_once();
  CHECK(stage.reaper.stats().sigchld == sigchld_health::healthy);
}

TEST_CASE("with no room for queued signals exits are still heard") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_SIGPENDING, &before) == 0);
  rlimit none{0, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_SIGPENDING, &none) == 0);
  {
    test::stage stage(test::heard_by_signal(milliseconds(0)));
    test::crowd children(stage, 100);
    children.end();
    children.check_each_told_once();
  }
  REQUIRE(::setrlimit(RLIMIT_SIGPENDING, &before) == 0);
}

TEST_CASE("with no poller at all SIGCHLD tells every exit") {
  test::stage stage(test::heard_by_signal(milliseconds(0)));
  for (int wave = 0; wave < 20; ++wave) {
    test::crowd children(stage, 5);
    children.end();
    stage.run_until([&] { return children.complete(); });
  }
  CHECK(stage.reaper.stats().wakeups_by_poller == 0);
  CHECK(stage.reaper.stats().reaped == 100);
  CHECK(stage.reaper.stats().sigchld == sigchld_health::healthy);
}
