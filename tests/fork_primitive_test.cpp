// fork alone, without a reaper: what the child has of its parent, and what it must not have.
#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "support/children.hpp"
#include "support/clean_floor.hpp"
#include "support/immediate_exit.hpp"
#include "support/truth_page.hpp"
#include "uvreap/process.hpp"

namespace {

// The wait word of a child that uvreap::fork made and that does this.
int word_of_fork(const std::function<int()>& body) {
  pid_t pid = -77;
  REQUIRE(uvreap::fork(&pid) == 0);
  if (pid == 0) ::_exit(body());
  int word = -1;
  REQUIRE(::waitpid(pid, &word, 0) == pid);
  return word;
}

void a_function(int) {}
void a_function_with_info(int, siginfo_t*, void*) {}

// Sets an action for the length of a scope.
class action_set {
 public:
  action_set(int signum, void (*handler)(int), int flags = 0) : signum_(signum) {
    struct ::sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    if ((flags & SA_SIGINFO) != 0) action.sa_sigaction = a_function_with_info;
    REQUIRE(::sigaction(signum, &action, &before_) == 0);
  }
  ~action_set() { ::sigaction(signum_, &before_, nullptr); }
  action_set(const action_set&) = delete;
  action_set& operator=(const action_set&) = delete;

 private:
  int signum_;
  struct ::sigaction before_ {};
};

struct ::sigaction action_of(int signum) {
  struct ::sigaction action {};
  ::sigaction(signum, nullptr, &action);
  return action;
}

bool is_by_default(int signum) {
  auto action = action_of(signum);
  return (action.sa_flags & (SA_SIGINFO | SA_NOCLDWAIT)) == 0 && action.sa_handler == SIG_DFL;
}

bool is_ignored(int signum) { return action_of(signum).sa_handler == SIG_IGN; }

class mask_set {
 public:
  explicit mask_set(const std::vector<int>& blocked) {
    sigset_t mask;
    sigemptyset(&mask);
    for (int signum : blocked) sigaddset(&mask, signum);
    ::pthread_sigmask(SIG_SETMASK, &mask, &before_);
  }
  ~mask_set() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  mask_set(const mask_set&) = delete;
  mask_set& operator=(const mask_set&) = delete;

 private:
  sigset_t before_{};
};

std::vector<int> blocked_now() {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  std::vector<int> blocked;
  for (int signum = 1; signum < NSIG; ++signum) {
    if (sigismember(&mask, signum) == 1) blocked.push_back(signum);
  }
  return blocked;
}

bool pends(int signum) {
  sigset_t pending;
  ::sigpending(&pending);
  return sigismember(&pending, signum) == 1;
}

// Who runs at exit leaves a mark here; set only while a test looks, so that our own exit finds nothing to
// write to.
test::truth_page* marks = nullptr;
enum mark { by_atexit, by_static, mark_count };

void leave_mark(mark which) {
  if (marks != nullptr) marks->plan(which, 1);
}

struct static_object {
  static_object() = default;
  ~static_object() { leave_mark(by_static); }
  static_object(const static_object&) = delete;
  static_object& operator=(const static_object&) = delete;
};

void register_at_exit_once() {
  static static_object object;
  static bool registered = ::atexit([] { leave_mark(by_atexit); }) == 0;
  REQUIRE(registered);
}

// A text of four bytes is in a buffer of ours while a child ends; how much of it is in the file afterwards.
off_t length_of_text_after(const std::function<void()>& child_ends) {
  auto close_file = [](FILE* file) { static_cast<void>(::fclose(file)); };
  std::unique_ptr<FILE, decltype(close_file)> file(::tmpfile(), close_file);
  REQUIRE(file != nullptr);
  CHECK(::fputs("once", file.get()) >= 0);
  child_ends();
  CHECK(::fflush(file.get()) == 0);
  return ::lseek(::fileno(file.get()), 0, SEEK_END);
}

}  // namespace

TEST_CASE("fork returns 0 in the child and its pid in the parent, with memory copied") {
  test::clean_floor floor;
  test::truth_page page(3);
  int a = 0;
  pid_t parent = ::getpid();
  pid_t pid = -77;
  int result = uvreap::fork(&pid);
  if (pid == 0) {
    a = 2;
    page.plan(0, a);
    page.plan(1, result);
    page.plan(2, ::getppid());
    ::_exit(5);
  }
  CHECK(result == 0);
  CHECK(test::children() == std::set<pid_t>{pid});
  int word = -1;
  CHECK(::waitpid(pid, &word, 0) == pid);
  CHECK(word == test::exited_with(5));
  CHECK(a == 0);
  CHECK(page.planned(0) == 2);
  CHECK(page.planned(1) == 0);
  CHECK(page.planned(2) == parent);
}

TEST_CASE("in the child handlers that are functions are gone, and the parent's stand") {
  test::clean_floor floor;
  action_set usr1(SIGUSR1, a_function);
  action_set usr2(SIGUSR2, nullptr, SA_SIGINFO);
  action_set term(SIGTERM, a_function);
  action_set real_time(SIGRTMIN, a_function);
  action_set last(SIGRTMAX - 1, a_function);  // valgrind keeps the very last
  action_set chld(SIGCHLD, a_function);
  int word = word_of_fork([] {
    for (int signum = 1; signum < NSIG; ++signum) {
      if (!is_by_default(signum) && !is_ignored(signum)) return signum;
    }
    return 0;
  });
  CHECK(word == test::exited_with(0));
  for (int signum : {SIGUSR1, SIGTERM, SIGRTMIN, SIGRTMAX - 1, SIGCHLD}) {
    CHECK((action_of(signum).sa_handler == a_function));
  }
  CHECK((action_of(SIGUSR2).sa_sigaction == a_function_with_info));
}

TEST_CASE("in the child ignored signals stay ignored, except SIGPIPE and SIGCHLD") {
  test::clean_floor floor;
  test::gate gate;  // it ends when SIGCHLD is heard again, or it would leave no status
  action_set hup(SIGHUP, SIG_IGN);
  action_set interrupt(SIGINT, SIG_IGN);
  action_set real_time(SIGRTMIN + 1, SIG_IGN);
  action_set pipe(SIGPIPE, SIG_IGN);
  action_set chld(SIGCHLD, SIG_IGN);
  pid_t pid = -77;
  REQUIRE(uvreap::fork(&pid) == 0);
  if (pid == 0) {
    int kept =
        (is_ignored(SIGHUP) ? 1 : 0) + (is_ignored(SIGINT) ? 2 : 0) + (is_ignored(SIGRTMIN + 1) ? 4 : 0);
    gate.wait();
    ::_exit(kept + (is_by_default(SIGPIPE) ? 8 : 0) + (is_by_default(SIGCHLD) ? 16 : 0));
  }
  action_set heard_again(SIGCHLD, SIG_DFL);
  gate.open();
  int word = -1;
  CHECK(::waitpid(pid, &word, 0) == pid);
  CHECK(word == test::exited_with(31));
}

TEST_CASE("a SIGCHLD whose default leaves no status is made a plain one in the child") {
  test::clean_floor floor;
  test::gate gate;
  pid_t pid = -77;
  {
    action_set no_zombies(SIGCHLD, SIG_DFL, SA_NOCLDWAIT);
    REQUIRE(uvreap::fork(&pid) == 0);
    // Its own child must leave a status to wait for.
    if (pid == 0) {
      bool it_has = word_of_fork([] { return 6; }) == test::exited_with(6);
      gate.wait();
      ::_exit(it_has ? 0 : 1);
    }
    CHECK((action_of(SIGCHLD).sa_flags & SA_NOCLDWAIT) != 0);
  }
  gate.open();
  int word = -1;
  CHECK(::waitpid(pid, &word, 0) == pid);
  CHECK(word == test::exited_with(0));
}

TEST_CASE("the signal mask is the caller's on both sides, blocked ones and open ones") {
  test::clean_floor floor;
  for (const std::vector<int>& callers :
       {std::vector<int>{}, {SIGUSR1}, {SIGHUP, SIGTERM, SIGCHLD, SIGRTMIN + 2, SIGRTMAX}}) {
    mask_set mask(callers);
    CHECK(word_of_fork([&] { return blocked_now() == callers ? 0 : 1; }) == test::exited_with(0));
    CHECK(blocked_now() == callers);
  }
}

TEST_CASE("pending signals stay with the parent") {
  test::clean_floor floor;
  mask_set mask({SIGUSR1, SIGUSR2});
  CHECK(::kill(::getpid(), SIGUSR1) == 0);                // pending for the process
  CHECK(::pthread_kill(::pthread_self(), SIGUSR2) == 0);  // and for the thread
  CHECK(word_of_fork([] { return pends(SIGUSR1) || pends(SIGUSR2) ? 1 : 0; }) == test::exited_with(0));
  for (int signum : {SIGUSR1, SIGUSR2}) {
    CHECK(pends(signum));
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signum);
    timespec at_once{};
    CHECK(::sigtimedwait(&only, nullptr, &at_once) == signum);
  }
}

TEST_CASE("exit in the child runs no atexit function and no static destructor of the parent's" *
          test::needs_immediate_exit) {
  test::clean_floor floor;
  register_at_exit_once();
  test::truth_page page(mark_count);
  marks = &page;
  for (int code : {0, 7, 255, 256 + 3}) {
    CHECK(word_of_fork([code]() -> int { ::exit(code); }) == test::exited_with(code));
  }
  CHECK(page.planned(by_atexit) == -1);
  CHECK(page.planned(by_static) == -1);

  // The control: after the plain fork(2) they do run, so those marks would have been seen.
  ::fflush(nullptr);  // or what is printed so far would be printed twice
  pid_t pid = ::fork();
  if (pid == 0) ::exit(0);
  CHECK(::waitpid(pid, nullptr, 0) == pid);
  CHECK(page.planned(by_atexit) == 1);
  CHECK(page.planned(by_static) == 1);
  marks = nullptr;
}

TEST_CASE("exit in the child writes no text that the parent has in its buffers" *
          test::needs_immediate_exit) {
  test::clean_floor floor;
  // The control: where even _exit(2) writes the buffers (valgrind does so), nothing can be seen.
  if (length_of_text_after([] { ::waitpid(test::make_child_exiting(1), nullptr, 0); }) != 4) {
    MESSAGE("SKIP: buffers are written at _exit here");
    return;
  }
  CHECK(length_of_text_after(
            [] { CHECK(word_of_fork([]() -> int { ::exit(1); }) == test::exited_with(1)); }) == 4);
}

TEST_CASE("exit is survived in the child of a program that has used libuv's thread pool" *
          test::needs_immediate_exit) {
  // libuv's destructor joins the pool's threads, which the child does not have: a crash or a hang (libuv
  // #4443). In a child of its own, so that this program goes on with one thread.
  test::clean_floor floor;
  pid_t pid = test::make_child([] {
    uv_loop_t loop;
    uv_work_t work;
    if (uv_loop_init(&loop) != 0) return 90;
    if (uv_queue_work(
            &loop, &work, [](uv_work_t*) {}, nullptr) != 0)
      return 91;
    uv_run(&loop, UV_RUN_DEFAULT);
    return word_of_fork([]() -> int { ::exit(5); }) == test::exited_with(5) ? 0 : 92;
  });
  int word = -1;
  CHECK(::waitpid(pid, &word, 0) == pid);
  CHECK(word == test::exited_with(0));
}

TEST_CASE("a fork that fails leaves the output, the mask and the handlers as they were") {
  test::clean_floor floor;
  if (::geteuid() != 0) {
    MESSAGE("SKIP: only root can become the user whose process limit is used up");
    return;
  }
  pid_t pid = test::make_child([] {
    ::signal(SIGUSR1, a_function);
    mask_set mask({SIGUSR2});
    ::rlimit none{};
    if (::setrlimit(RLIMIT_NPROC, &none) != 0 || ::setresuid(65534, 65534, 65534) != 0) return 77;
    pid_t out = -77;
    if (uvreap::fork(&out) != UV_EAGAIN) return 1;
    if (out != -77) return 2;
    if (blocked_now() != std::vector<int>{SIGUSR2}) return 3;
    return action_of(SIGUSR1).sa_handler == a_function ? 0 : 4;
  });
  int word = -1;
  CHECK(::waitpid(pid, &word, 0) == pid);
  if (word == test::exited_with(77)) {
    MESSAGE("SKIP: this system does not let root become another user");
    return;
  }
  CHECK(word == test::exited_with(0));
}
