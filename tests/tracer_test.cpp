// A tracer that is not us holds a child's zombie (strace, gdb): it has ended, its pidfd is readable, and wait
// gives nothing until the tracer waits for it or is gone. Others' loops turn at full speed over it (tokio
// #7144, GLib #3071).
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "support/crowd.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using uvreap::child_exit;

namespace {

nanoseconds cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + nanoseconds(used.tv_nsec);
}

// A child of ours that ends with a code of its own once it is let go, and may be traced by anybody (Yama).
class tracee {
 public:
  explicit tracee(int code) {
    pid = test::make_child([this, code] {
      ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
      may_be_traced_.open();
      return gate_.wait(), code;
    });
  }

  void wait_until_traceable() const { may_be_traced_.wait(); }
  void end() const {  // it is a zombie when this returns; waitid would not show it while it is traced
    gate_.open();
    while (!test::zombies().contains(pid)) ::usleep(1000);
  }

  pid_t pid = 0;

 private:
  test::gate may_be_traced_;
  test::gate gate_;
};

// A sibling of the child that seizes it, as strace -p does.
class tracer {
 public:
  explicit tracer(const tracee& whom) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid_ = test::make_child([&] {
      whom.wait_until_traceable();
      int why = ::ptrace(PTRACE_SEIZE, whom.pid, nullptr, nullptr) == 0 ? 0 : errno;
      if (::write(ends[1], &why, sizeof why) != sizeof why || why != 0) return 1;
      may_wait_.wait();
      if (::waitpid(whom.pid, nullptr, __WALL) != whom.pid) return 1;
      for (;;) ::pause();  // it stays: what lets the zombie go is the wait
    });
    ::close(ends[1]);
    if (::read(ends[0], &why_not_, sizeof why_not_) != sizeof why_not_) why_not_ = ECHILD;
    ::close(ends[0]);
  }
  ~tracer() { end(); }
  tracer(const tracer&) = delete;
  tracer& operator=(const tracer&) = delete;

  [[nodiscard]] bool holds() const {
    if (why_not_ != 0) MESSAGE("SKIP: ptrace is refused here: ", std::string(std::strerror(why_not_)));
    return why_not_ == 0;
  }
  void wait() const { may_wait_.open(); }
  void end() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, 0), nullptr, 0);
  }

 private:
  test::gate may_wait_;
  pid_t pid_ = 0;
  int why_not_ = 0;
};

// Where a notice can tell it all, the poller must not be there to help.
uvreap::options without_poller() {
  auto options = test::options_of_this_run();
  if (!test::poller_alone()) options.poll_every = milliseconds(0);
  return options;
}

struct listener {
  std::vector<child_exit> told;
  [[nodiscard]] uvreap::callback callback() {
    return [this](const child_exit& exit) { told.push_back(exit); };
  }
};

// Less than 5 % of a CPU over that time.
void check_rests(test::stage& stage, milliseconds time) {
  auto before = cpu_time();
  stage.run_for(time);
  CHECK(cpu_time() - before < time / 20);
}

}  // namespace

TEST_CASE("a zombie that a tracer holds costs the loop nearly nothing, and is told when the tracer waits") {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(100);  // it does ask, now and then
  test::stage stage(options);
  listener listener;
  tracee child(3);
  tracer tracer(child);
  REQUIRE(stage.reaper.watch(child.pid, listener.callback()) == 0);
  if (tracer.holds()) {
    stage.turn();
    child.end();
    check_rests(stage, milliseconds(1000));
    CHECK(listener.told.empty());
    CHECK(stage.reaper.stats().watched == 1);
    tracer.wait();
  } else {
    child.end();
  }
  stage.run_until([&] { return !listener.told.empty(); });
  stage.run_for(milliseconds(30));
  tracer.end();
  REQUIRE(listener.told.size() == 1);
  CHECK_FALSE(listener.told[0].lost);
  CHECK(listener.told[0].status.raw() == test::exited_with(3));
}

TEST_CASE("a zombie that a tracer holds is told when the tracer ends, without any poller") {
  test::stage stage(without_poller());
  listener listener;
  tracee child(4);
  tracer tracer(child);
  REQUIRE(stage.reaper.watch(child.pid, listener.callback()) == 0);
  if (tracer.holds()) {
    stage.turn();
    child.end();
    check_rests(stage, milliseconds(300));
    CHECK(listener.told.empty());
  } else {
    child.end();
  }
  tracer.end();
  stage.run_until([&] { return !listener.told.empty(); });
  CHECK(listener.told[0].status.raw() == test::exited_with(4));
}

TEST_CASE("a zombie that was held before watch() is told when the tracer waits") {
  test::stage stage(without_poller());
  listener listener;
  tracee child(5);
  tracer tracer(child);
  if (tracer.holds()) {
    child.end();
    REQUIRE(stage.reaper.watch(child.pid, listener.callback()) == 0);
    check_rests(stage, milliseconds(300));
    CHECK(listener.told.empty());
    tracer.wait();
  } else {
    REQUIRE(stage.reaper.watch(child.pid, listener.callback()) == 0);
    child.end();
  }
  stage.run_until([&] { return !listener.told.empty(); });
  tracer.end();
  CHECK(listener.told[0].status.raw() == test::exited_with(5));
}

TEST_CASE("others that end while a tracer holds a zombie are told meanwhile") {
  test::stage stage(without_poller());
  listener listener;
  tracee child(6);
  tracer tracer(child);
  REQUIRE(stage.reaper.watch(child.pid, listener.callback()) == 0);
  bool held = tracer.holds();
  child.end();
  {
    test::crowd others(stage, 50);
    others.end();
    others.check_each_told_once();
  }
  CHECK(listener.told.empty() == held);
  tracer.end();
  stage.run_until([&] { return !listener.told.empty(); });
  CHECK(listener.told[0].status.raw() == test::exited_with(6));
}
