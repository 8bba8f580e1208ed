// Nothing that a caller passes changes the state of a backend: a number that is no child's is refused, and
// the next child is on the backend like those before. The worst of them is a thread's: pidfd_open(2) says
// EINVAL to it before Linux 6.15 or so, and ENOENT since.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "support/own_syscall.hpp"
#include "support/sanitizers.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

pid_t thread_number = 0;
int said_to_it = 0;  // 0: what this kernel says
int asked = 0;

}  // namespace

bool test::on_syscall(long number, const syscall_words& words, long* answer) noexcept {
  if (number != SYS_pidfd_open || static_cast<pid_t>(words[0]) != thread_number) return false;
  ++asked;
  if (said_to_it == 0) return false;
  errno = said_to_it;
  *answer = -1;
  return true;
}

namespace {

class other_thread {
 public:
  other_thread() {
    std::promise<pid_t> number;
    thread_ = std::thread([&, go = over_.get_future()]() mutable {
      number.set_value(::gettid());
      go.wait();
    });
    thread_number = number.get_future().get();
  }
  ~other_thread() {
    over_.set_value();
    thread_.join();
    thread_number = 0;
  }

 private:
  std::promise<void> over_;
  std::thread thread_;
};

class children {
 public:
  explicit children(test::stage& stage) : stage_(stage) {}
  void make() {
    pid_t pid = test::make_child([this] { return gate_.wait(), 3; });
    REQUIRE(stage_.reaper.watch(
                pid, [this](const child_exit& exit) { told_ += exit.status.exit_code() == 3; }) == 0);
    ++count_;
    check_all_are_on_the_backend();
  }
  void check_all_are_on_the_backend() const {
    auto stats = stage_.reaper.stats();
    CHECK(stats.watched == count_);
    CHECK(stats.on_backend == (test::names_exits() ? count_ : 0));
    CHECK(stats.on_ring + stats.on_pidfd == stats.on_backend);
    CHECK(stats.on_peek == (test::names_exits() ? 0 : count_));
  }
  void end() {
    gate_.open(static_cast<int>(count_));
    stage_.run_until([&] { return told_ == count_; });
  }

 private:
  test::stage& stage_;
  test::gate gate_;
  std::uint64_t count_ = 0;
  std::uint64_t told_ = 0;
};

void not_to_be_told(const child_exit& exit) { FAIL_CHECK("told of ", exit.pid); }

}  // namespace

TEST_CASE(
    "the number of a thread is UV_ESRCH to watch(), and the next child is on the backend like the one "
    "before") {
  for (int error : {0, EINVAL, ENOENT, ESRCH}) {
    CAPTURE(error);
    said_to_it = error;
    test::stage stage;
    children children(stage);
    children.make();
    int degraded = stage.reaper.stats().degraded;
    {
      other_thread other;
      asked = 0;
      CHECK(stage.reaper.watch(thread_number, not_to_be_told) == UV_ESRCH);
      if (!test::under_valgrind()) CHECK(asked != 0);
      CHECK(stage.reaper.watch(thread_number, {.timeout = milliseconds(1)}, not_to_be_told) == UV_ESRCH);
      CHECK(stage.reaper.kill(thread_number, 0) == UV_ESRCH);
      CHECK(stage.reaper.release(thread_number) == UV_ESRCH);
      int posted = 0;
      stage.reaper.post_watch(thread_number, [&](const child_exit& exit) {
        ++posted;
        CHECK(exit.error == UV_ESRCH);
        CHECK(exit.lost);
      });
      stage.run_until([&] { return posted == 1; });
    }
    CHECK(stage.reaper.stats().degraded == degraded);
    for (int i = 0; i < 3; ++i) children.make();
    stage.run_for(milliseconds(20));
    children.check_all_are_on_the_backend();
    children.end();
  }
  said_to_it = 0;
}

TEST_CASE("no other number that is no child's changes a backend") {
  test::stage stage;
  children children(stage);
  children.make();
  pid_t gone = test::make_child_exiting(0);
  REQUIRE(::waitpid(gone, nullptr, 0) == gone);
  int degraded = stage.reaper.stats().degraded;
  for (pid_t number : {::getpid(), ::getppid(), 1, 2, gone, (1 << 22) - 1, 1 << 22, (1 << 22) + 1, INT_MAX}) {
    CAPTURE(number);
    CHECK(stage.reaper.watch(number, not_to_be_told) == UV_ESRCH);
    CHECK(stage.reaper.kill(number, 0) == UV_ESRCH);
    CHECK(stage.reaper.stats().degraded == degraded);
    children.make();
  }
  for (pid_t number : {0, -1, -2, INT_MIN}) {
    CAPTURE(number);
    CHECK(stage.reaper.watch(number, not_to_be_told) == UV_EINVAL);
    children.make();
  }
  for (int descriptor : {-1, 0, INT_MAX}) {
    CAPTURE(descriptor);
    int error = stage.reaper.watch_pidfd(descriptor, not_to_be_told);
    CHECK((error == UV_EBADF || error == UV_EINVAL));
    children.make();
  }
  children.end();
}
