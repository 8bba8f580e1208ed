// spawn_async() for tests: what it told, in order; and the spawner's thread held inside the making of a
// child.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "leased_file.hpp"
#include "stage.hpp"

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

// A command that is being made until open(): before its exec its child waits for a file to be opened.
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

  [[nodiscard]] uvreap::stdio gate() {
    std::string file = scratch_.make("leased", "");
    leased_ = leased_file(file);
    return uvreap::stdio::file(file, O_RDONLY);
  }
  void wait_until_being_made() const { leased_.wait_until_it_is_opened(); }
  void open() { leased_.let_go(); }

 private:
  std::shared_ptr<spawned_child> told_ = std::make_shared<spawned_child>();  // it may outlive this
  scratch_directory scratch_{};
  leased_file leased_{};

 public:
  spawned_child& child = *told_;
};

}  // namespace test
