// What ends the program, on in every build: a call from a thread that is not the loop's, a null output, a
// callback that throws. Each in a process of its own.
#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>
#include <vector>

#include "support/apart.hpp"
#include "support/stage.hpp"
#include "uvreap/process.hpp"

using uvreap::child_exit;

namespace {

// A loop and a started reaper of the process apart. Not a stage, whose checks would report into a copy.
struct lone_reaper {
  uv_loop_t loop{};
  uvreap::reaper reaper;

  lone_reaper() : reaper((uv_loop_init(&loop), loop), test::options_of_this_run()) {
    if (reaper.start() != 0) ::_exit(98);
  }
};

void told_of_nothing(const child_exit&) {}

test::end_of_process end_of_a_call_elsewhere(const std::function<void(uvreap::reaper&)>& call) {
  return test::apart([&] {
    lone_reaper lone;
    std::thread([&] { call(lone.reaper); }).join();
    return 0;
  });
}

test::end_of_process end_of_a_throw(const std::function<void(uvreap::reaper&)>& prepare) {
  return test::apart([&] {
    lone_reaper lone;
    prepare(lone.reaper);
    uv_run(&lone.loop, UV_RUN_DEFAULT);
    return 0;
  });
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a call from a thread that is not the loop's aborts, and says why") {
  const std::function<void(uvreap::reaper&)> calls[] = {
      [](uvreap::reaper& reaper) { (void)reaper.watch(::getppid(), told_of_nothing); },
      [](uvreap::reaper& reaper) { (void)reaper.release(1); },
      [](uvreap::reaper& reaper) { (void)reaper.detach(1); },
      [](uvreap::reaper& reaper) { (void)reaper.kill(1, 0); },
      [](uvreap::reaper& reaper) { (void)reaper.stats(); },
      [](uvreap::reaper& reaper) { (void)reaper.close(); },
      [](uvreap::reaper& reaper) {
        pid_t out = 0;
        (void)reaper.fork(
            &out, [] { return 0; }, told_of_nothing);
      },
  };
  for (const auto& call : calls) {
    CAPTURE(&call - calls);
    auto end = end_of_a_call_elsewhere(call);
    CHECK(WIFSIGNALED(end.word));
    CHECK(WTERMSIG(end.word) == SIGABRT);
    CHECK_MESSAGE(contains(end.said, "thread"), end.said);
  }
}

TEST_CASE("post_watch is the call that another thread may make") {
  auto end = end_of_a_call_elsewhere([](uvreap::reaper& reaper) { reaper.post_watch(1, told_of_nothing); });
  CHECK_MESSAGE(end.word == 0, end.said);
}

TEST_CASE("a null output aborts") {
  auto end = test::apart([] { return uvreap::fork(nullptr); });
  CHECK(end.word == test::killed_by(SIGABRT));
  end = test::apart([] {
    lone_reaper lone;
    return lone.reaper.fork(
        nullptr, [] { return 0; }, told_of_nothing);
  });
  CHECK(end.word == test::killed_by(SIGABRT));
}

TEST_CASE("a callback that throws ends the program with a message") {
  auto end = end_of_a_throw([](uvreap::reaper& reaper) {
    pid_t pid = 0;
    auto throws = [](const child_exit&) { throw std::runtime_error("out of cheese"); };
    (void)reaper.fork(
        &pid, [] { return 0; }, throws);
  });
  CHECK(end.word == test::killed_by(SIGABRT));
  CHECK_MESSAGE(contains(end.said, "out of cheese"), end.said);
}

TEST_CASE("a callback for changes that throws ends the program with a message") {
  auto end = end_of_a_throw([](uvreap::reaper& reaper) {
    pid_t pid = 0;
    auto throws = [](const uvreap::child_change&) { throw std::runtime_error("out of crackers"); };
    auto stops = [] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody continues it, since its parent is about to end
      return ::raise(SIGSTOP);
    };
    (void)reaper.fork(&pid, stops, {.on_change = throws}, told_of_nothing);
  });
  CHECK(end.word == test::killed_by(SIGABRT));
  CHECK_MESSAGE(contains(end.said, "out of crackers"), end.said);
}

TEST_CASE(
    "an exception in the child's main ends the child by SIGABRT, and nothing of the parent's runs there") {
  test::stage stage;
  std::vector<child_exit> told;
  pid_t pid = 0;
  auto throws = []() -> int {
    int ends[2];
    test::be_apart(::pipe(ends) == 0 ? ends[1] : 2);
    throw std::runtime_error("in the child");
  };
  REQUIRE(stage.reaper.fork(&pid, throws, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].status.term_signal() == SIGABRT);
}
