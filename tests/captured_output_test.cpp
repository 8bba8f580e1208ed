// Output that the library reads itself and hands over with the exit.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>

#include "support/commands.hpp"
#include "support/sanitizers.hpp"
#include "uvreap/process.hpp"

using std::chrono::milliseconds;
using std::chrono::seconds;
using uvreap::child_exit;
using uvreap::command;
using uvreap::stdio;

namespace {

constexpr std::size_t plenty = 1 << 24;

command capturing(std::string script, std::size_t limit = plenty) {
  return test::shell(std::move(script)).capture(limit);
}

child_exit exit_of(test::stage& stage, const command& what) {
  pid_t pid = 0;
  std::optional<child_exit> told;
  REQUIRE(stage.reaper.spawn(&pid, what, [&](const child_exit& exit) {
    CHECK(!told);
    told = exit;
  }) == 0);
  stage.run_until([&] { return told.has_value(); });
  CHECK(told->pid == pid);
  return *told;
}

// A named pipe of the test's own: what a shell waits at until it is let through. It is open all the time, and
// has no name when it is closed: a shell that comes late would wait for a writer for ever.
class turnstile {
 public:
  turnstile() {
    REQUIRE(::mkfifo(path().c_str(), 0600) == 0);
    end_ = ::open(path().c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(end_ >= 0);
  }
  [[nodiscard]] std::string path() const { return directory_ / "turnstile"; }
  [[nodiscard]] std::string wait() const { return "read x < " + path(); }
  void let_through() const { CHECK(::write(end_, "\n", 1) == 1); }
  ~turnstile() {
    ::unlink(path().c_str());
    ::close(end_);
  }
  turnstile(const turnstile&) = delete;
  turnstile& operator=(const turnstile&) = delete;

 private:
  test::scratch_directory directory_;
  int end_ = -1;
};

}  // namespace

TEST_CASE("both streams come with the exit, each by itself") {
  test::stage stage;
  child_exit exit = exit_of(stage, capturing("echo to output; echo to error >&2; exit 4"));
  CHECK(exit.status.exit_code() == 4);
  CHECK(exit.output == uvreap::captured{.bytes = "to output\n"});
  CHECK(exit.error_output == uvreap::captured{.bytes = "to error\n"});
  CHECK(exit.output.complete());
}

TEST_CASE("one stream may be captured and the other not, or both may be one") {
  test::stage stage;
  command only_errors = test::shell("echo out; echo err >&2");
  only_errors.output = stdio::null();
  only_errors.error_output = stdio::captured(plenty);
  child_exit exit = exit_of(stage, only_errors);
  CHECK(exit.output.bytes.empty());
  CHECK(exit.error_output.bytes == "err\n");

  command merged = test::shell("echo one; echo two >&2; echo three");
  merged.error_output = stdio::same_as_output();
  exit = exit_of(stage, merged.capture(plenty));
  CHECK(exit.output.bytes == "one\ntwo\nthree\n");
  CHECK(exit.error_output.bytes.empty());
}

TEST_CASE("a child that captures nothing has empty streams") {
  test::stage stage;
  child_exit exit = exit_of(stage, test::shell("exit 0"));
  CHECK(exit.output == uvreap::captured{});
  CHECK(exit.error_output == uvreap::captured{});
}

TEST_CASE("output of many times a pipe's size comes whole") {
  test::stage stage;
  child_exit exit = exit_of(stage, capturing("head -c 8000000 /dev/zero; head -c 300000 /dev/zero >&2"));
  CHECK(exit.status.success());
  CHECK(exit.output.bytes.size() == 8'000'000);
  CHECK(exit.error_output.bytes.size() == 300'000);
  CHECK(exit.output.complete());
}

TEST_CASE("beyond the limit output is dropped and said to be cut, and the child is not held up") {
  test::stage stage;
  child_exit exit = exit_of(stage, capturing("seq 100000 && echo done >&2", 10));
  CHECK(exit.status.success());  // neither blocked nor ended by SIGPIPE
  CHECK(exit.output == uvreap::captured{.bytes = "1\n2\n3\n4\n5\n", .cut_by_limit = true});
  CHECK(exit.error_output == uvreap::captured{.bytes = "done\n"});

  exit = exit_of(stage, capturing("printf 0123456789", 10));
  CHECK(exit.output.complete());  // just as much as the limit
  exit = exit_of(stage, capturing("printf 0", 0));
  CHECK(exit.output == uvreap::captured{.bytes = "", .cut_by_limit = true});
}

TEST_CASE("somebody who holds the pipe keeps the exit back for the drain, and no longer") {
  test::stage stage;
  turnstile turnstile;
  command what = capturing("(" + turnstile.wait() + ") & echo spoken; exit 6");
  what.drain = milliseconds(150);
  auto before = std::chrono::steady_clock::now();
  child_exit exit = exit_of(stage, what);
  auto took = std::chrono::steady_clock::now() - before;
  CHECK(took >= milliseconds(140));  // the loop's clock may be a few milliseconds old
  CHECK(exit.status.exit_code() == 6);
  CHECK(exit.output == uvreap::captured{.bytes = "spoken\n", .cut_by_time = true});
  turnstile.let_through();
}

TEST_CASE("several exits wait for their outputs, and one whose output ends is told before the others") {
  test::stage stage;
  turnstile holders[3];
  bool told[3]{};
  for (std::size_t i = 0; i < 3; ++i) {
    command held = capturing("(" + holders[i].wait() + "; echo held " + std::to_string(i) + ") & exit 0");
    held.drain = seconds(100);
    pid_t pid = 0;
    REQUIRE(stage.reaper.spawn(&pid, held, [&told, i](const child_exit& exit) {
      CHECK(exit.output.bytes == "held " + std::to_string(i) + "\n");
      told[i] = true;
    }) == 0);
  }
  stage.run_until([&] { return stage.reaper.stats().reaped == 3; });
  holders[2].let_through();
  stage.run_until([&] { return told[2]; });
  CHECK_FALSE(told[0]);
  CHECK_FALSE(told[1]);
  for (std::size_t i : {0U, 1U}) holders[i].let_through();
  stage.run_until([&] { return told[0] && told[1]; });
}

TEST_CASE("what somebody else writes in the time of the drain is there, and its end ends the wait") {
  test::stage stage;
  turnstile turnstile;
  command what = capturing("(" + turnstile.wait() + "; echo later) & echo now");
  what.drain = seconds(100);
  pid_t pid = 0;
  std::optional<child_exit> told;
  REQUIRE(stage.reaper.spawn(&pid, what, [&](const child_exit& exit) { told = exit; }) == 0);
  stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
  CHECK(stage.reaper.release(pid) == UV_EALREADY);
  CHECK(stage.reaper.kill(pid, 0) == UV_ESRCH);
  stage.run_for(milliseconds(50));
  CHECK(!told);
  turnstile.let_through();
  stage.run_until([&] { return told.has_value(); });
  CHECK(told->output == uvreap::captured{.bytes = "now\nlater\n"});
}

TEST_CASE("a drain of nothing still reads what the child left in the pipe") {
  test::stage stage;
  for (int round = 0; round < 20; ++round) {
    turnstile turnstile;
    command what = capturing("(" + turnstile.wait() + ") & head -c 60000 /dev/zero");
    what.drain = milliseconds(0);
    child_exit exit = exit_of(stage, what);
    CHECK(exit.output.bytes.size() == 60'000);
    CHECK(exit.output.cut_by_time);
    turnstile.let_through();
  }
}

TEST_CASE("the exit that is held back for its output holds the loop, and nothing else does") {
  test::stage stage;
  turnstile turnstile;
  command what = capturing("(" + turnstile.wait() + ") &");
  what.drain = milliseconds(60);
  pid_t pid = 0;
  bool told = false;
  REQUIRE(stage.reaper.spawn(&pid, what, [&](const child_exit&) { told = true; }) == 0);
  stage.run_dry();
  CHECK(told);
  turnstile.let_through();
}

TEST_CASE("a reserved child's output waits for its callback") {
  test::stage stage;
  pid_t pid = 0;
  std::optional<child_exit> told;
  auto tell = [&](const child_exit& exit) { told = exit; };

  SUBCASE("that comes when all is over") {
    REQUIRE(stage.reaper.spawn(&pid, capturing("echo kept"), {}) == 0);
    stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
    stage.run_for(milliseconds(50));
  }
  SUBCASE("that comes while it is alive") {
    REQUIRE(stage.reaper.spawn(&pid, capturing("echo kept; sleep 0.1"), {}) == 0);
  }
  SUBCASE("that comes while its output is being read") {
    command what = capturing("sleep 0.3 & echo kept");
    what.drain = seconds(100);
    REQUIRE(stage.reaper.spawn(&pid, what, {}) == 0);
    stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
  }
  CHECK(!told);
  REQUIRE(stage.reaper.watch(pid, tell) == 0);
  stage.run_until([&] { return told.has_value(); });
  CHECK(told->output == uvreap::captured{.bytes = "kept\n"});
}

TEST_CASE("a forgotten child can go on writing, and its output is nobody's") {
  test::stage stage;
  test::scratch_directory here;
  pid_t pid = 0;
  auto never = [](const child_exit&) { FAIL("told of a forgotten child"); };
  turnstile turnstile;
  command what =
      capturing(turnstile.wait() + "; head -c 500000 /dev/zero && echo whole > " + (here / "proof"));
  REQUIRE(stage.reaper.spawn(&pid, what, never) == 0);
  REQUIRE(stage.reaper.detach(pid) == 0);
  turnstile.let_through();
  stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
  CHECK(here.contents("proof") == "whole\n");

  // Forgotten while it drains: the telling is dropped.
  what = capturing("sleep 0.2 & echo");
  what.drain = seconds(100);
  REQUIRE(stage.reaper.spawn(&pid, what, never) == 0);
  stage.run_until([&] { return stage.reaper.stats().reaped == 2; });
  CHECK(stage.reaper.detach(pid) == 0);
  stage.run_for(milliseconds(50));
}

TEST_CASE("a forgotten child that is taken back brings what it wrote since, said to be cut") {
  test::stage stage;
  turnstile turnstile;
  pid_t pid = 0;
  std::optional<child_exit> told;
  REQUIRE(stage.reaper.spawn(&pid, capturing("echo before; " + turnstile.wait() + "; echo after"),
                             [](const child_exit&) {}) == 0);
  stage.run_for(milliseconds(50));
  REQUIRE(stage.reaper.detach(pid) == 0);
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told = exit; }) == 0);
  turnstile.let_through();
  stage.run_until([&] { return told.has_value(); });
  CHECK(told->output.bytes.empty());
  CHECK(told->output.cut_by_limit);
}

TEST_CASE("a released child is the caller's, and nobody reads its output any more") {
  test::stage stage;
  turnstile turnstile;
  pid_t pid = 0;
  REQUIRE(stage.reaper.spawn(&pid, capturing(turnstile.wait() + "; exec head -c 500000 /dev/zero"),
                             [](const child_exit&) { FAIL("told of a released child"); }) == 0);
  REQUIRE(stage.reaper.release(pid) == 0);
  stage.turn();
  turnstile.let_through();
  int word = -1;
  CHECK(::waitpid(pid, &word, 0) == pid);
  CHECK(WIFSIGNALED(word));
  CHECK(WTERMSIG(word) == SIGPIPE);
}

TEST_CASE("closing the reaper, or ending it in the callback, leaves no pipe behind") {
  test::stage stage;
  pid_t pid = 0;
  bool told = false;
  bool closed = false;
  SUBCASE("while the child writes") {
    turnstile turnstile;
    REQUIRE(stage.reaper.spawn(&pid, capturing(turnstile.wait()), [](const child_exit&) {}) == 0);
    stage.turn();
    REQUIRE(stage.reaper.close([&] { closed = true; }) == 0);
    turnstile.let_through();
    ::waitpid(pid, nullptr, 0);
  }
  SUBCASE("while the output drains") {
    command what = capturing("sleep 0.2 &");
    what.drain = seconds(100);
    REQUIRE(stage.reaper.spawn(&pid, what, [](const child_exit&) { FAIL("told after close"); }) == 0);
    stage.run_until([&] { return stage.reaper.stats().reaped == 1; });
    REQUIRE(stage.reaper.close([&] { closed = true; }) == 0);
  }
  SUBCASE("in the callback") {
    REQUIRE(stage.reaper.spawn(&pid, capturing("echo last"), [&](const child_exit& exit) {
      CHECK(stage.reaper.close([&] { closed = true; }) == 0);
      stage.destroy_reaper();
      CHECK(exit.output.bytes == "last\n");
      told = true;
    }) == 0);
    stage.run_until([&] { return told; });
  }
  stage.run_until([&] { return closed; });
}

TEST_CASE("terminating the group ends those who hold the pipe, and the output comes whole") {
  test::stage stage;
  command what = capturing("(trap '' TERM; while :; do sleep 1; done) & echo leader");
  what.group = uvreap::process_group::created;
  what.drain = seconds(100);
  pid_t pid = 0;
  std::optional<child_exit> told;
  turnstile turnstile;
  what.argv[2] += "; " + turnstile.wait();
  REQUIRE(stage.reaper.spawn(&pid, what, [&](const child_exit& exit) { told = exit; }) == 0);
  REQUIRE(stage.reaper.terminate(pid, milliseconds(100)) == 0);
  stage.run_dry();  // on a kernel before 6.9 the leader's zombie stays until the grace is over
  REQUIRE(told.has_value());
  CHECK(told->output.complete());
}

TEST_CASE("what cannot be captured is refused, and nothing is left") {
  test::stage stage;
  command what = capturing("exit 0");
  pid_t pid = test::untouched;
  CHECK(uvreap::spawn(&pid, what) == UV_EINVAL);  // without a loop there is nobody to read
  what.drain = milliseconds(-1);
  CHECK(stage.reaper.spawn(&pid, what, {}) == UV_EINVAL);
  what = test::shell("exit 0");
  what.input = stdio::captured(1);
  CHECK(stage.reaper.spawn(&pid, what, {}) == UV_EINVAL);
  CHECK(pid == test::untouched);
  CHECK(stage.reaper.stats().watched == 0);
}

TEST_CASE("what cannot be run leaves no captured stream" * doctest::skip(test::under_valgrind())) {
  test::stage stage;
  pid_t pid = test::untouched;
  auto what = command{.argv = {"/nowhere/uvreap-test"}}.capture(1);
  CHECK(stage.reaper.spawn(&pid, what, {}) == UV_ENOENT);
  CHECK(pid == test::untouched);
  CHECK(stage.reaper.stats().watched == 0);
}

TEST_CASE("a forked copy neither takes the bytes nor the parent's pipe out of its epoll set") {
  for (bool destroyed_first : {true, false}) {
    CAPTURE(destroyed_first);
    test::stage stage;
    turnstile turnstile;
    pid_t pid = 0;
    std::optional<child_exit> told;
    REQUIRE(stage.reaper.spawn(&pid, capturing(turnstile.wait() + "; echo for the parent"),
                               [&](const child_exit& exit) { told = exit; }) == 0);
    stage.turn();

    pid_t copy = -1;
    REQUIRE(uvreap::fork(&copy) == 0);
    if (copy == 0) {
      if (destroyed_first) stage.destroy_reaper();
      if (uv_loop_fork(&stage.loop) != 0) ::_exit(1);
      turnstile.let_through();
      for (int turn = 0; turn < 50; ++turn) {
        uv_run(&stage.loop, UV_RUN_NOWAIT);
        ::usleep(1000);
      }
      ::_exit(0);
    }
    int word = -1;
    CHECK(::waitpid(copy, &word, 0) == copy);  // the child has written by now, and the copy has had its turns
    CHECK(word == 0);
    stage.run_until([&] { return told.has_value(); });
    CHECK(told->output == uvreap::captured{.bytes = "for the parent\n"});
  }
}
