// spawn_async() for tests: what it told, in order; and the spawner's thread held inside the making of a
// child.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "stage.hpp"
#include "timing.hpp"

namespace test {

// One call, and what it came to.
struct spawned_child {
  struct start {
    int error;
    pid_t pid;
  };
  std::vector<start> started{};
  std::vector<uvreap::child_exit> ended{};
  bool ended_before_it_started = false;

  [[nodiscard]] uvreap::started_callback on_start() {
    return [this](int error, pid_t pid) { started.push_back({error, pid}); };
  }
  [[nodiscard]] uvreap::callback on_end() {
    return [this](const uvreap::child_exit& exit) {
      if (started.empty()) ended_before_it_started = true;
      ended.push_back(exit);
    };
  }
  [[nodiscard]] int ask(uvreap::reaper& reaper, const uvreap::command& what,
                        uvreap::watch_options options = {}) {
    return reaper.spawn_async(what, std::move(options), on_start(), on_end());
  }
  [[nodiscard]] bool has_started() const { return !started.empty(); }
  [[nodiscard]] bool has_ended() const { return !ended.empty(); }
  [[nodiscard]] pid_t pid() const { return started.at(0).pid; }
  [[nodiscard]] bool was_told_once() const {
    return started.size() == 1 && started[0].error == 0 && ended.size() == 1 && !ended_before_it_started &&
           ended[0].pid == pid();
  }
  [[nodiscard]] bool failed_with(int error) const {
    return started.size() == 1 && started[0].error == error && started[0].pid == 0 && ended.empty();
  }
};

// A command that is being made until open(): its child waits, before its exec, to open a file of which the
// test holds the lease. The kernel breaks a lease after 45 s, so no child of a test that crashed waits for
// ever.
class long_spawn {
 public:
  explicit long_spawn(uvreap::reaper& reaper, uvreap::command what = {.argv = {"true"}}) {
    what.input = gate();
    auto on_start = [told = told_](int error, pid_t pid) { told->started.push_back({error, pid}); };
    auto on_end = [told = told_](const uvreap::child_exit& exit) { told->ended.push_back(exit); };
    REQUIRE(reaper.spawn_async(what, on_start, on_end) == 0);
    wait_until_being_made();
  }
  long_spawn() = default;  // for whoever asks by himself
  ~long_spawn() { open(); }
  long_spawn(const long_spawn&) = delete;
  long_spawn& operator=(const long_spawn&) = delete;

  [[nodiscard]] uvreap::stdio gate() {
    std::string file = scratch_.make("leased", "");
    leased_ = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(::fcntl(leased_, F_SETSIG, SIGWINCH) == 0);  // instead of SIGIO, which ends a process
    REQUIRE(::fcntl(leased_, F_SETLEASE, F_WRLCK) == 0);
    return uvreap::stdio::file(file, O_RDONLY);
  }
  void wait_until_being_made() const {
    // The type of a lease is that to which it is to be broken from when the child has come to its open().
    auto is_being_made = [this] { return ::fcntl(leased_, F_GETLEASE) != F_WRLCK; };
    stopwatch waited;
    while (!is_being_made() && waited.elapsed() < std::chrono::seconds(20)) ::usleep(200);
    REQUIRE(is_being_made());
  }
  void open() {
    if (leased_ < 0) return;
    ::fcntl(leased_, F_SETLEASE, F_UNLCK);  // closing is not enough: the child has the file, too
    ::close(std::exchange(leased_, -1));
  }

 private:
  std::shared_ptr<spawned_child> told_ = std::make_shared<spawned_child>();  // it may outlive this
  scratch_directory scratch_{};
  int leased_ = -1;

 public:
  spawned_child& child = *told_;
};

}  // namespace test
