// Children that are not ours, beside a reaper that is busy with its own: each gets its own status, and none
// is taken.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "support/crowd.hpp"
#include "support/loop_handle.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

// Keeps the reaper busy: some children of its own at any time, each followed by the next when it is told.
class mill {
 public:
  explicit mill(test::stage& stage, int at_a_time = 3) : stage_(stage) {
    for (int i = 0; i < at_a_time; ++i) make_next();
  }

  void stop() {
    stopping_ = true;
    stage_.run_until([&] { return living_ == 0; });
    CHECK(told_ == made_);
    CHECK(wrong_ == 0);
    CHECK(told_ > 50);  // it was busy indeed
  }

 private:
  void make_next() {
    int code = ++made_ & 0xff;
    ++living_;
    pid_t pid = 0;
    REQUIRE(stage_.reaper.fork(
                &pid, [code] { return code; },
                [this, code](const child_exit& exit) {
                  ++told_;
                  --living_;
                  if (exit.status.raw() != test::exited_with(code)) ++wrong_;
                  if (!stopping_) make_next();
                }) == 0);
  }

  test::stage& stage_;
  int made_ = 0;
  int told_ = 0;
  int living_ = 0;
  int wrong_ = 0;
  bool stopping_ = false;
};

// Does something many times in another thread, while the loop runs with a busy reaper; how often it went
// wrong.
int wrong_beside_a_busy_reaper(int times, const std::function<bool(int)>& is_right) {
  test::stage stage;
  mill own(stage);
  std::atomic<int> wrong{0};
  std::atomic<bool> finished{false};
  std::thread other([&] {
    for (int i = 0; i < times; ++i) {
      if (!is_right(i)) ++wrong;
    }
    finished = true;
  });
  bool in_time = stage.turn_until([&] { return finished.load(); },
                                  std::chrono::minutes(4));  // forks can be ten times as dear
  other.join();
  own.stop();
  CHECK(in_time);
  return wrong;
}

bool system_is_right(int) { return std::system("exit 7") == test::exited_with(7); }

bool popen_is_right(int i) {
  std::string command = "echo out; exit " + std::to_string(i % 100);
  FILE* out = ::popen(command.c_str(), "r");
  if (out == nullptr) return false;
  std::array<char, 8> text{};
  bool read = std::fgets(text.data(), static_cast<int>(text.size()), out) != nullptr;
  return ::pclose(out) == test::exited_with(i % 100) && read && std::string(text.data()) == "out\n";
}

bool fork_and_waitpid_is_right(int i) {
  pid_t pid = test::make_child_exiting(i);
  int word = -1;
  return ::waitpid(pid, &word, 0) == pid && word == test::exited_with(i);
}

// uv_spawn, many times on one loop, some at a time; each process ends with a code of its own.
class spawner {
 public:
  spawner(uv_loop_t& loop, int times) : loop_(loop), times_(times) {
    for (int i = 0; i < 4; ++i) spawn_next();
  }
  [[nodiscard]] bool finished() const { return told_ == times_; }
  [[nodiscard]] int wrong() const { return wrong_; }

 private:
  struct process : uv_process_t {
    spawner* owner;
    int code;
  };

  void spawn_next() {
    if (made_ == times_) return;
    auto* next = new process;
    next->owner = this;
    next->code = made_++ % 100;
    std::string command = "exit " + std::to_string(next->code);
    std::array<char*, 4> arguments{const_cast<char*>("sh"), const_cast<char*>("-c"), command.data(), nullptr};
    uv_process_options_t options{};
    options.file = "/bin/sh";
    options.args = arguments.data();
    options.exit_cb = [](uv_process_t* handle, std::int64_t status, int signum) {
      static_cast<process*>(handle)->owner->ended(static_cast<process*>(handle), status, signum);
    };
    if (uv_spawn(&loop_, next, &options) != 0) ++wrong_, ++told_;
  }

  void ended(process* which, std::int64_t status, int signum) {
    ++told_;
    if (status != which->code || signum != 0) ++wrong_;
    // The next is made in the close callback, which comes once a turn. Made here, each exit that is ready
    // meanwhile is libuv's next one in the same turn, some thirty of them, and the turns are too few to keep
    // a mill going.
    uv_close(reinterpret_cast<uv_handle_t*>(which), [](uv_handle_t* handle) {
      auto* closed = static_cast<process*>(reinterpret_cast<uv_process_t*>(handle));
      closed->owner->spawn_next();
      delete closed;
    });
  }

  uv_loop_t& loop_;
  int times_;
  int made_ = 0;
  int told_ = 0;
  int wrong_ = 0;
};

std::uint64_t cpu_of_this_thread_us() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000u;
}

void reap_strangers(const std::vector<pid_t>& strangers) {
  for (std::size_t i = 0; i < strangers.size(); ++i) {
    int word = -1;
    CHECK(::waitpid(strangers[i], &word, 0) == strangers[i]);
    CHECK(word == test::exited_with(static_cast<int>(i) + 5));
  }
}

std::vector<pid_t> make_zombie_strangers(int count) {
  std::vector<pid_t> strangers;
  for (int i = 0; i < count; ++i) {
    strangers.push_back(test::make_child_exiting(i + 5));
    test::wait_until_ended(strangers.back());
  }
  return strangers;
}

}  // namespace

TEST_CASE("1000 system() calls beside a busy reaper each return their own status") {
  CHECK(wrong_beside_a_busy_reaper(1000, system_is_right) == 0);
}

TEST_CASE("1000 popen() and pclose() beside a busy reaper each return their own status") {
  CHECK(wrong_beside_a_busy_reaper(1000, popen_is_right) == 0);
}

TEST_CASE("system() inside callbacks of the reaper returns its own status") {
  test::stage stage;
  test::crowd children(stage, 20);
  int wrong = 0;
  children.on_told = [&] { wrong += system_is_right(0) ? 0 : 1; };
  children.end();
  children.check_each_told_once();
  CHECK(wrong == 0);
}

TEST_CASE("children that other threads fork and wait for beside a busy reaper are theirs") {
  int wrong = wrong_beside_a_busy_reaper(1, [](int) {
    std::atomic<int> all_wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 250; ++k) all_wrong += fork_and_waitpid_is_right(k) ? 0 : 1;
      });
    }
    for (auto& thread : threads) thread.join();
    return all_wrong == 0;
  });
  CHECK(wrong == 0);
}

TEST_CASE(
    "1000 processes of uv_spawn on the reaper's own loop, and 200 on another, each end with their own "
    "status") {
  test::stage stage;
  mill own(stage);
  std::atomic<int> wrong_elsewhere{-1};
  std::thread elsewhere([&] {
    uv_loop_t loop;
    uv_loop_init(&loop);
    {
      spawner there(loop, 200);
      uv_run(&loop, UV_RUN_DEFAULT);
      wrong_elsewhere = there.finished() ? there.wrong() : 200;
    }
    uv_loop_close(&loop);
  });
  spawner here(stage.loop, 1000);
  bool in_time = stage.turn_until([&] { return here.finished() && wrong_elsewhere >= 0; },
                                  std::chrono::minutes(4));  // forks can be ten times as dear
  elsewhere.join();
  own.stop();
  CHECK(in_time);
  CHECK(here.wrong() == 0);
  CHECK(wrong_elsewhere == 0);
}

TEST_CASE(
    "zombies of somebody else keep their status, hide no exit of ours, and are looked at once a notice") {
  auto strangers = make_zombie_strangers(20);  // older than ours, so the kernel shows one of them first
  auto options = test::options_of_this_run();
  if (!test::poller_alone()) options.poll_every = milliseconds(0);
  {
    test::stage stage(options);
    stage.leaves_children = true;
    test::crowd children(stage, 50);
    for (int i = 0; i < 25; ++i) {  // one at a time, then the rest at once
      children.let_one_go();
      stage.run_until([&] { return children.told() == i + 1; });
    }
    children.end();
    children.check_each_told_once();
    reap_strangers(strangers);
    CHECK(test::children().empty());
  }
}

TEST_CASE("a zombie of somebody else does not make the loop spin") {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(100);
  test::stage stage(options);
  test::crowd living(stage, 10);
  auto strangers = make_zombie_strangers(1);  // its SIGCHLD is heard
  int sleepless_turns = 0;
  auto counter =
      test::on_prepare(stage.loop, [&] { sleepless_turns += uv_backend_timeout(&stage.loop) == 0 ? 1 : 0; });
  auto sweeps_before = stage.reaper.stats().sweeps;
  auto cpu_before = cpu_of_this_thread_us();
  stage.run_for(milliseconds(500));
  CHECK(stage.reaper.stats().sweeps - sweeps_before <= 20);  // two for each notice
  CHECK(sleepless_turns <= 40);
  if (!test::pumped()) CHECK(cpu_of_this_thread_us() - cpu_before < 100'000);
  living.end();
  living.check_each_told_once();
  reap_strangers(strangers);
}
