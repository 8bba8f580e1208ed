// The reaper ends, or is copied, while commands wait to be made and one is being made: none is left unknown.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "support/apart.hpp"
#include "support/message.hpp"
#include "support/sanitizers.hpp"
#include "support/spawns.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;
using uvreap::command;
using uvreap::stdio;

namespace {

// One that is being made, and two that wait, with pipes and captures.
struct three_under_way {
  explicit three_under_way(uvreap::reaper& reaper, command first = {.argv = {"sleep", "600"}})
      : being_made(reaper, first) {
    command piped{.argv = {"cat"}, .input = stdio::pipe(&ends[0]), .output = stdio::pipe(&ends[1])};
    command captured{.argv = {"cat"}};
    captured.capture(1000);
    REQUIRE(waiting[0].ask(reaper, piped) == 0);
    REQUIRE(waiting[1].ask(reaper, captured) == 0);
  }
  [[nodiscard]] bool are_cancelled() const {
    return being_made.child.failed_with(UV_ECANCELED) && waiting[0].failed_with(UV_ECANCELED) &&
           waiting[1].failed_with(UV_ECANCELED) && ends[0] == test::untouched && ends[1] == test::untouched;
  }

  int ends[2] = {test::untouched, test::untouched};
  std::array<test::spawned_child, 2> waiting{};
  test::long_spawn being_made;
};

int end_of(uv_loop_t& loop) {
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop);
}

// Until it has let go of whatever it was asked for before, descriptors too.
void wait_for_the_spawner() {
  uv_loop_t loop;
  uv_loop_init(&loop);
  {
    uvreap::reaper reaper(loop, test::options_of_this_run());
    REQUIRE(reaper.start() == 0);
    test::spawned_child next;
    REQUIRE(next.ask(reaper, {.argv = {"true"}}) == 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(next.was_told_once());
  }
  CHECK(end_of(loop) == 0);
}

}  // namespace

TEST_CASE("close() cancels what is not made, and is done when the one that is being made has been ended") {
  test::stage stage;
  auto group = uvreap::process_group::inherited;
  SUBCASE("a child alone") {}
  SUBCASE("a child that leads a group") { group = uvreap::process_group::created; }
  three_under_way all(stage.reaper, {.argv = {"sleep", "600"}, .group = group});
  bool done = false;
  REQUIRE(stage.reaper.close([&] { done = true; }) == 0);
  CHECK(all.are_cancelled());
  stage.run_for(milliseconds(30));
  CHECK_FALSE(done);
  CHECK(test::children().size() == 1);
  all.being_made.open();
  stage.run_dry();
  CHECK(done);
  CHECK(test::children().empty());
  CHECK(all.are_cancelled());
}

TEST_CASE("the destructor cancels likewise, and the loop runs until the one being made has been ended") {
  test::stage stage;
  three_under_way all(stage.reaper);
  stage.destroy_reaper();
  CHECK(all.are_cancelled());
  CHECK(test::children().size() == 1);
  all.being_made.open();
  stage.run_dry();
  CHECK(test::children().empty());
  CHECK(all.are_cancelled());
}

TEST_CASE("one that cannot be made is no matter after the end") {
  test::stage stage;
  test::scratch_directory scratch;
  three_under_way all(stage.reaper, {.argv = {scratch.make("widowed", "#!/no/such/interpreter\n", 0755)}});
  stage.destroy_reaper();
  all.being_made.open();
  stage.run_dry();
  CHECK(test::children().empty());
  CHECK(all.are_cancelled());
}

TEST_CASE("a child that is there, and of which nothing was told yet, is handed over by close()") {
  test::stage stage;
  int from_child = test::untouched;
  test::spawned_child piped;
  test::spawned_child captured;
  test::spawned_child failed;
  command cat{.argv = {"echo", "text"}, .output = stdio::pipe(&from_child)};
  REQUIRE(piped.ask(stage.reaper, cat) == 0);
  cat.capture(1000);
  REQUIRE(captured.ask(stage.reaper, cat) == 0);
  REQUIRE(failed.ask(stage.reaper, {.argv = {"no-such-program-anywhere"}}) == 0);
  {
    test::long_spawn last(stage.reaper);  // so those before it are made, and the loop has not turned
    REQUIRE(stage.reaper.close() == 0);
    CHECK(last.child.failed_with(UV_ECANCELED));
  }
  REQUIRE(piped.has_started());
  REQUIRE(captured.has_started());
  CHECK(piped.started[0].error == 0);
  CHECK(captured.started[0].error == 0);
  CHECK(failed.failed_with(UV_ENOENT));
  for (pid_t pid : {piped.pid(), captured.pid()}) {
    CHECK(uvreap::wait4(uvreap::scope::one(pid), 0).pid == pid);
  }
  CHECK(test::read_all(from_child) == "text\n");
  ::close(from_child);
  stage.run_dry();
  CHECK_FALSE(piped.has_ended());
}

TEST_CASE("started may close, destroy and begin anew, inside its callback") {
  for (int what : {0, 1, 2}) {
    CAPTURE(what);
    test::stage stage;
    std::vector<int> errors;
    auto started = [&](int error, pid_t pid) {
      errors.push_back(error);
      if (errors.size() != 1) return;
      CHECK(stage.reaper.kill(pid, SIGKILL) == 0);
      if (what == 0) stage.destroy_reaper();
      if (what != 0) CHECK(stage.reaper.close() == 0);
      if (what == 2) CHECK(stage.reaper.start() == 0);
    };
    for (int i = 0; i < 3; ++i) {
      command cat{.argv = {"sleep", "600"}};
      REQUIRE(stage.reaper.spawn_async(cat, started, [](const child_exit&) {}) == 0);
    }
    stage.run_dry();
    REQUIRE(errors.size() == 3);
    CHECK(errors[0] == 0);
    for (pid_t pid : test::children()) ::kill(pid, SIGKILL);  // those that were handed over
    test::clean_up_children();
  }
}

TEST_CASE("a reaper that begins anew starts what it is asked for then, behind what was cancelled") {
  test::stage stage;
  test::spawned_child later;
  {
    three_under_way all(stage.reaper);
    REQUIRE(stage.reaper.close() == 0);
    REQUIRE(stage.reaper.start() == 0);
    REQUIRE(later.ask(stage.reaper, {.argv = {"true"}}) == 0);
    CHECK(all.are_cancelled());
  }
  stage.run_dry();
  CHECK(later.was_told_once());
  CHECK(test::children().empty());
}

TEST_CASE(
    "a loop whose handles the program closes itself, before or after the destructor, ends all the same") {
  for (bool before : {true, false}) {
    CAPTURE(before);
    // Nobody is told that libuv is done with the timer that waits for the last child, and so it stays.
    std::optional<test::may_leak> timer;
    if (!before) timer.emplace();
    uv_loop_t loop;
    uv_loop_init(&loop);
    auto reaper = std::make_unique<uvreap::reaper>(loop, test::options_of_this_run());
    REQUIRE(reaper->start() == 0);
    {
      three_under_way all(*reaper);
      if (!before) reaper.reset();
      uv_walk(
          &loop,
          [](uv_handle_t* one, void*) { return uv_is_closing(one) != 0 ? void() : uv_close(one, nullptr); },
          nullptr);
      uv_run(&loop, UV_RUN_DEFAULT);
      reaper.reset();
      CHECK(all.are_cancelled());
      CHECK(end_of(loop) == 0);
    }
    // Nothing here waited for the end of the one that was being made.
    wait_for_the_spawner();
    CHECK(test::children().empty());
  }
}

TEST_CASE("a forked copy makes nothing of what was under way, tells nothing, and may spawn for itself") {
  test::stage stage;
  three_under_way all(stage.reaper);
  auto in_copy = [&] {
    test::spawned_child none;
    HOLDS(none.ask(stage.reaper, {.argv = {"true"}}) == UV_EPERM);
    HOLDS(uv_loop_fork(&stage.loop) == 0);
    HOLDS(stage.reaper.after_fork() == 0);
    test::spawned_child own;
    test::spawned_child captured;
    command echo{.argv = {"echo", "text"}};
    echo.capture(1000);
    HOLDS(own.ask(stage.reaper, {.argv = {"true"}}) == 0);
    HOLDS(captured.ask(stage.reaper, echo) == 0);
    uv_run(&stage.loop, UV_RUN_DEFAULT);
    HOLDS(own.was_told_once());
    HOLDS(captured.was_told_once());
    HOLDS(captured.ended[0].output.bytes == "text\n");
    HOLDS(!all.being_made.child.has_started() && !all.waiting[0].has_started());
    stage.destroy_reaper();
    HOLDS(end_of(stage.loop) == 0);
    HOLDS(!all.being_made.child.has_started() && !all.waiting[0].has_started());
    return 0;
  };
  auto unused_copy = [&] {
    uv_loop_fork(&stage.loop);
    uv_run(&stage.loop, UV_RUN_DEFAULT);  // ends: nothing there holds it
    stage.destroy_reaper();
    HOLDS(!all.being_made.child.has_started() && !all.waiting[0].has_started());
    return 0;
  };
  auto raw_clone = [] {
    return static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  };
  for (const auto& body : {std::function<int()>(in_copy), std::function<int()>(unused_copy)}) {
    for (const auto& fork_one :
         {std::function<pid_t()>([] { return ::fork(); }), std::function<pid_t()>(test::fork_as_uvreap_does),
          std::function<pid_t()>(raw_clone)}) {
      auto end = test::apart(body, fork_one);
      CHECK_MESSAGE(end.word == 0, end.said);
    }
  }
  all.being_made.open();
  stage.run_until([&] { return all.waiting[1].has_started(); });
  CHECK(stage.reaper.kill(all.being_made.child.pid(), SIGKILL) == 0);
  ::close(all.ends[0]);
  stage.run_until([&] { return all.waiting[0].has_ended() && all.being_made.child.has_ended(); });
  CHECK(all.waiting[0].was_told_once());
  ::close(all.ends[1]);
  stage.run_dry();
  CHECK(all.waiting[1].was_told_once());
}

TEST_CASE("a copy made by uvreap::fork holds no pipe of a command that is under way open") {
  test::stage stage;
  int given[2];
  REQUIRE(::pipe2(given, O_CLOEXEC) == 0);
  int from_child = test::untouched;
  test::spawned_child writer;
  test::message in_copy;
  test::gate end_of_copy;
  pid_t copy = 0;
  {
    // Its pipes are open while it is being made, and the next one's output has been copied.
    command piped{.argv = {"cat"}, .output = stdio::pipe(&from_child)};
    test::long_spawn reader(stage.reaper, piped);
    REQUIRE(writer.ask(stage.reaper, {.argv = {"echo", "text"}, .output = stdio::descriptor(given[1])}) == 0);
    ::close(given[1]);
    REQUIRE(uvreap::fork(&copy) == 0);
    if (copy == 0) {
      in_copy.say();
      end_of_copy.wait();
      ::_exit(0);
    }
    in_copy.wait();
    reader.open();
    stage.run_until([&] { return writer.has_ended() && reader.child.has_ended(); });
  }
  // Else both readers would wait for the end of the copy.
  CHECK(test::comes_to_its_end(from_child));
  char text[16];
  CHECK(::read(given[0], text, sizeof text) == 5);
  CHECK(test::comes_to_its_end(given[0]));
  ::close(given[0]);
  ::close(from_child);
  end_of_copy.open();
  CHECK(uvreap::wait4(uvreap::scope::one(copy), 0).status.success());
}

TEST_CASE("forks beside a flood of captured commands neither hang nor delay an end") {
  test::stage stage;
  std::atomic<bool> is_over{false};
  std::jthread forker([&] {
    while (!is_over) {
      pid_t pid = 0;
      if (uvreap::fork(&pid) != 0) continue;
      if (pid == 0) {
        ::usleep(20'000);
        ::_exit(0);
      }
      (void)uvreap::wait4(uvreap::scope::one(pid), 0);
    }
  });
  std::deque<test::spawned_child> all(60);
  command echo{.argv = {"echo", "text"}, .drain = std::chrono::seconds(30)};
  echo.capture(1000);
  for (auto& one : all) REQUIRE(one.ask(stage.reaper, echo) == 0);
  auto all_ended = [&] { return std::ranges::all_of(all, [](auto& one) { return one.has_ended(); }); };
  stage.run_until(all_ended);
  is_over = true;
  forker.join();
  for (auto& one : all) {
    CHECK(one.was_told_once());
    CHECK(one.ended[0].output.bytes == "text\n");
    CHECK(one.ended[0].output.complete());
  }
}
