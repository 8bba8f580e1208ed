// A child that other code of the program waits for, and a younger child of the program that gets its number
// at once.
//
//     test::victim old(stage.reaper);
//     old.be_stolen();
//     test::younger child(old.pid, test::being::alive);
//     if (!child.was_made()) return;                // this machine lets no number be chosen: said already
//     stage.run_until([&] { return !old.told.empty(); });
//     old.check_delivered_as_stolen();
//     child.check_untouched();
#pragma once

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "children.hpp"
#include "fork_as.hpp"
#include "message.hpp"
#include "proc.hpp"
#include "stage.hpp"
#include "uvreap/reaper.hpp"

namespace test {

// Where pidfds have no inode of their own (before Linux 6.9) or are refused, two processes of one number that
// were made within one clock tick look the same, and nobody promises otherwise.
inline bool births_are_start_times() {
  constexpr long pidfs = 0x50494446;
  auto self = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  if (self < 0) return true;
  struct statfs of {};
  bool has_inode = ::fstatfs(self, &of) == 0 && of.f_type == pidfs;
  ::close(self);
  return !has_inode;
}

inline void wait_for_another_birth() {
  if (births_are_start_times()) ::usleep(2'000'000 / static_cast<useconds_t>(::sysconf(_SC_CLK_TCK)));
}

// Where no notice comes of a theft, the poller finds it soon.
inline uvreap::options options_that_find_thefts() {
  auto options = options_of_this_run();
  options.poll_every = std::chrono::milliseconds(20);
  return options;
}

// What the younger child does when the reaper looks.
enum class being {
  alive,
  ended,      // a zombie, before the reaper looks for the first time
  leaderless  // its first thread has ended and another goes on: /proc says zombie, wait says nothing
};
constexpr being beings[] = {being::alive, being::ended, being::leaderless};

class younger {
 public:
  // Started: runs in the child first, for it to lead a group, say.
  younger(
      pid_t number, being what, const std::function<void()>& started = [] {})
      : what_(what) {
    pid = fork_as(number);
    int why = errno;
    if (pid == 0) live(started);
    if (pid < 0) {
      MESSAGE("SKIP: a child's number cannot be chosen here (clone3 set_tid): ",
              std::string(std::strerror(why)));
      return;
    }
    ready_.wait();
    if (what == being::ended) end();
    while (what == being::leaderless && state_of(pid) != 'Z') ::usleep(200);
  }
  ~younger() {
    if (pid > 0 && !waited_for_) gate_.open(2);
  }
  younger(const younger&) = delete;
  younger& operator=(const younger&) = delete;

  [[nodiscard]] bool was_made() const { return pid > 0; }
  void let_end() const { gate_.open(); }
  void end() const {
    let_end();
    wait_until_ended(pid);
  }

  // No signal has reached it, and its status is there for its owner.
  void check_untouched() {
    waited_for_ = true;
    int word = -1;
    if (what_ != being::ended) {
      REQUIRE(::waitpid(pid, &word, WNOHANG | __WALL) == 0);
      let_end();
    }
    REQUIRE(::waitpid(pid, &word, 0) == pid);
    CHECK(word == exited_with(code));
  }
  // The same where a reaper is its owner.
  void check_delivered(const std::vector<uvreap::child_exit>& exits) {
    waited_for_ = true;
    REQUIRE(exits.size() == 1);
    CHECK(exits[0].pid == pid);
    CHECK_FALSE(exits[0].lost);
    CHECK_FALSE(exits[0].recovered);
    CHECK_FALSE(exits[0].timed_out);
    CHECK(exits[0].status.raw() == exited_with(code));
    CHECK(::waitpid(pid, nullptr, WNOHANG | __WALL) == -1);
  }

  static constexpr int code = 42;
  pid_t pid = 0;

 private:
  [[noreturn]] void live(const std::function<void()>& started) {
    for (int signum : {SIGCHLD, SIGALRM, SIGHUP, SIGTERM, SIGINT, SIGABRT}) ::signal(signum, SIG_DFL);
    started();
    ready_.say();
    if (what_ == being::leaderless) {
      constexpr int thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
      constexpr std::size_t stack = 1 << 16;
      auto run = [](void* self) { return static_cast<younger*>(self)->last(), 0; };
      if (::clone(run, new char[stack] + stack - 64, thread, this) > 0) ::syscall(SYS_exit, 0);
      ::_exit(97);
    }
    last();
  }
  [[noreturn]] void last() {
    gate_.wait();
    ::_exit(code);
  }

  being what_;
  gate gate_;
  message ready_;
  bool waited_for_ = false;
};

class victim {
 public:
  explicit victim(
      uvreap::reaper& reaper, uvreap::watch_options options = {},
      const std::function<void()>& started = [] {}) {
    message ready;
    pid = make_child([&] {
      ::signal(SIGTERM, SIG_IGN);
      started();
      ready.say();
      for (;;) ::pause();
      return 0;
    });
    ready.wait();
    REQUIRE(reaper.watch(pid, std::move(options), note()) == 0);
  }

  [[nodiscard]] uvreap::callback note() {
    return [this](const uvreap::child_exit& exit) { told.push_back(exit); };
  }

  // By code of the program that the reaper knows nothing of.
  void be_stolen() const {
    wait_for_another_birth();
    REQUIRE(::kill(pid, SIGKILL) == 0);
    int word = -1;
    REQUIRE(::waitpid(pid, &word, 0) == pid);
    REQUIRE(word == killed_by(SIGKILL));
  }

  [[nodiscard]] bool is_delivered() const { return !told.empty(); }
  void check_delivered_as_stolen() const {
    REQUIRE(told.size() == 1);
    CHECK(told[0].pid == pid);
    CHECK(told[0].lost != told[0].recovered);
    CHECK_FALSE(told[0].timed_out);
    CHECK(told[0].status.raw() == (told[0].lost ? -1 : killed_by(SIGKILL)));
    CHECK(told[0].usage == uvreap::resource_usage{});
  }

  pid_t pid = 0;
  std::vector<uvreap::child_exit> told;
};

}  // namespace test
