// One number, a thousand children after each other, as on a busy machine whose numbers have come round: what
// is still under way for an older child with the number never speaks for a younger one.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "support/fork_as.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

constexpr int generations = 1000;

// What is left behind for the next child with the number to stumble over.
enum class end {
  told,             // nothing
  collected,        // its telling, while the younger one is watched already
  released_living,  // the backend was told to give it up
  released_zombie,  // what the backend has heard of it and nobody has asked for
  forgotten,        // nothing, in silence
  reserved,         // nothing, after a second watch
  stolen,           // what the backend has heard of it, and its watch is told as lost
};
constexpr int kinds_of_end = 7;

// One child with the number. Its word is its own among a few hundred neighbours.
class generation {
 public:
  generation(int which, pid_t number) : which_(which) {
    pid = test::fork_as(number);
    if (pid == 0) {
      gate_->wait();
      ::_exit(code());
    }
  }

  pid_t pid;
  std::vector<child_exit> told;

  [[nodiscard]] uvreap::callback callback() {
    return [this](const child_exit& exit) { told.push_back(exit); };
  }
  [[nodiscard]] int word() const { return test::exited_with(code()); }
  void end() {
    gate_->open();
    test::wait_until_ended(pid);
    gate_.reset();  // a thousand of them would be too many descriptors
  }
  void end_and_wait() {
    end();
    int word_now = -1;
    CHECK(::waitpid(pid, &word_now, 0) == pid);
    CHECK(word_now == word());
  }

 private:
  [[nodiscard]] int code() const { return which_ % 251; }

  int which_;
  std::unique_ptr<test::gate> gate_ = std::make_unique<test::gate>();
};

// A number that was free a moment ago, so that the kernel gives it to others last.
pid_t fresh_number() {
  pid_t pid = test::make_child_exiting(0);
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
  return pid;
}

class lineage {
 public:
  explicit lineage(test::stage& stage) : stage_(stage), number_(fresh_number()) {}

  // Null, and errno: this machine does not let us choose.
  generation* next() {
    for (int tries = 0; tries < 20; ++tries) {
      auto born = std::make_unique<generation>(static_cast<int>(all_.size()), number_);
      if (born->pid > 0) return all_.emplace_back(std::move(born)).get();
      if (errno != EEXIST) return nullptr;
      number_ = fresh_number();  // somebody else on this machine got it
      ++moved_;
    }
    return nullptr;
  }

  // The child lives and is watched. How it ends, and what must be told of it.
  void run(generation& child, end how) {
    switch (how) {
      case end::told:
        child.end();
        stage_.run_until([&] { return child.told.size() == 1; });
        return;
      case end::collected: {
        auto before = stage_.reaper.stats().reaped;
        child.end();
        auto taken = [&] { return stage_.reaper.stats().reaped != before; };
        while (!taken()) uv_run(&stage_.loop, UV_RUN_NOWAIT);
        CHECK(child.told.empty());
        return;
      }
      case end::released_living:
        REQUIRE(stage_.reaper.release(child.pid) == 0);
        child.end_and_wait();
        return;
      case end::released_zombie:
        child.end();
        REQUIRE(stage_.reaper.release(child.pid) == 0);
        REQUIRE(::waitpid(child.pid, nullptr, 0) == child.pid);
        return;
      case end::forgotten:
        REQUIRE(stage_.reaper.detach(child.pid) == 0);
        child.end();
        stage_.run_until([&] { return stage_.reaper.stats().watched == 0; });
        return;
      case end::reserved:
        REQUIRE(stage_.reaper.detach(child.pid) == 0);
        REQUIRE(stage_.reaper.watch(child.pid, uvreap::callback{}) == 0);
        child.end();
        stage_.run_until([&] { return stage_.reaper.stats().watched == 0; });
        REQUIRE(stage_.reaper.watch(child.pid, child.callback()) == 0);
        return;
      case end::stolen:
        child.end_and_wait();
        stage_.run_until([&] { return child.told.size() == 1; });
        return;
    }
  }

  void check(const generation& child, end how) const {
    CAPTURE(static_cast<int>(how));
    bool is_told = how == end::told || how == end::collected || how == end::reserved || how == end::stolen;
    REQUIRE(child.told.size() == (is_told ? 1 : 0));
    if (!is_told) return;
    CHECK(child.told[0].pid == child.pid);
    CHECK(child.told[0].lost + child.told[0].recovered == (how == end::stolen ? 1 : 0));
    CHECK(child.told[0].status.raw() == (child.told[0].lost ? -1 : child.word()));
  }

  [[nodiscard]] int numbers() const { return 1 + moved_; }
  [[nodiscard]] const generation& at(int which) const { return *all_[static_cast<std::size_t>(which)]; }

 private:
  test::stage& stage_;
  std::vector<std::unique_ptr<generation>> all_;
  pid_t number_;
  int moved_ = 0;
};

// Each end is followed by each other one in turn.
end end_of(int which) { return static_cast<end>((which + which / kinds_of_end) % kinds_of_end); }

}  // namespace

TEST_CASE("a number that a thousand children have one after another gives none of them another's status") {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(20);  // a stolen exit is found by asking, on some rungs
  test::stage stage(options);
  lineage children(stage);
  for (int which = 0; which < generations; ++which) {
    CAPTURE(which);
    generation* child = children.next();
    if (child == nullptr) {
      MESSAGE("SKIP: a child's number cannot be chosen here (clone3 set_tid): ",
              std::string(std::strerror(errno)));
      return;
    }
    REQUIRE(stage.reaper.watch(child->pid, child->callback()) == 0);
    // Whatever an older one has left is heard now or when this one has ended, and is not this one's end.
    if (which % 2 == 0) {
      for (int turns = 0; turns < 3; ++turns) stage.turn();
      REQUIRE(child->told.empty());
      CHECK(stage.reaper.stats().watched == 1);
      CHECK(stage.reaper.stats().on_backend == (test::names_exits() ? 1 : 0));  // nor doubts its place
    }
    children.run(*child, end_of(which));
  }
  stage.run_for(milliseconds(60));
  for (int which = 0; which < generations; ++which) {
    CAPTURE(which);
    children.check(children.at(which), end_of(which));
  }
  CHECK(children.numbers() < generations / 10);
}
