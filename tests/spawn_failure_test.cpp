// A command that cannot be run: the error comes back from spawn itself, and nothing stays behind.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "support/apart.hpp"
#include "support/commands.hpp"
#include "support/descriptors_left.hpp"

using uvreap::child_exit;
using uvreap::command;
using uvreap::stdio;

namespace {

// An error that libuv has no name for is minus errno, as all of its are on Unix.
constexpr int not_executable = -ENOEXEC;

// Our ends of all three pipes, of which none may be written.
struct three_pipes {
  int ends[3] = {test::untouched, test::untouched, test::untouched};
  command add_to(command what) {
    what.input = stdio::pipe(&ends[0]);
    what.output = stdio::pipe(&ends[1]);
    what.error_output = stdio::pipe(&ends[2]);
    return what;
  }
  [[nodiscard]] bool are_untouched() const {
    return ends[0] == test::untouched && ends[1] == test::untouched && ends[2] == test::untouched;
  }
  void close() {
    for (int end : ends) ::close(end);
  }
};

class soft_limit {
 public:
  soft_limit(decltype(RLIMIT_NOFILE) which, rlim_t value) : which_(which) {
    ::getrlimit(which_, &before_);
    rlimit now{value, before_.rlim_max};
    REQUIRE(::setrlimit(which_, &now) == 0);
  }
  ~soft_limit() { ::setrlimit(which_, &before_); }
  soft_limit(const soft_limit&) = delete;
  soft_limit& operator=(const soft_limit&) = delete;

 private:
  decltype(RLIMIT_NOFILE) which_;
  rlimit before_{};
};

}  // namespace

TEST_CASE("a program that is not there or not to be run is spawn's error") {
  test::stage stage;
  test::scratch_directory scratch;
  three_pipes pipes;
  std::string text = scratch.make("text", "echo no interpreter\n", 0755);
  std::string locked = scratch.make("locked", "#!/bin/sh\n", 0644);
  std::string widowed = scratch.make("widowed", "#!/no/such/interpreter\n", 0755);
  test::check_refused(stage, pipes.add_to({.argv = {"no-such-program-anywhere"}}), UV_ENOENT);
  test::check_refused(stage, pipes.add_to({.argv = {"/no/such/program"}}), UV_ENOENT);
  test::check_refused(stage, pipes.add_to({.argv = {""}}), UV_ENOENT);
  test::check_refused(stage, pipes.add_to({.argv = {widowed}}), UV_ENOENT);
  test::check_refused(stage, pipes.add_to({.argv = {locked}}), UV_EACCES);
  test::check_refused(stage, pipes.add_to({.argv = {scratch.path()}}), UV_EACCES);
  test::check_refused(stage, pipes.add_to({.argv = {text}}), not_executable);
  test::check_refused(stage, pipes.add_to({.argv = {text + "/below"}}), UV_ENOTDIR);
  CHECK(pipes.are_untouched());
}

TEST_CASE("a directory or a file that is not to be had is spawn's error") {
  test::stage stage;
  test::scratch_directory scratch;
  three_pipes pipes;
  command run = pipes.add_to({.argv = {"true"}, .cwd = "/no/such/directory"});
  test::check_refused(stage, run, UV_ENOENT);
  run.cwd = scratch.make("file", "");
  test::check_refused(stage, run, UV_ENOTDIR);
  run.cwd.clear();
  run.error_output = stdio::file(scratch / "none", O_RDONLY);
  test::check_refused(stage, run, UV_ENOENT);
  run.error_output = stdio::file(scratch / "file", O_WRONLY | O_CREAT | O_EXCL);
  test::check_refused(stage, run, UV_EEXIST);
  run.error_output = stdio::file(scratch.path(), O_WRONLY);
  test::check_refused(stage, run, UV_EISDIR);
  run.error_output = stdio::file("", O_WRONLY);
  test::check_refused(stage, run, UV_ENOENT);
  CHECK(pipes.are_untouched());
}

TEST_CASE("a command that makes no sense is invalid") {
  test::stage stage;
  three_pipes pipes;
  std::string nul("a\0b", 3);
  test::check_refused(stage, pipes.add_to({}), UV_EINVAL);
  test::check_refused(stage, pipes.add_to({.program = "true"}), UV_EINVAL);
  test::check_refused(stage, pipes.add_to({.argv = {"true", nul}}), UV_EINVAL);
  test::check_refused(stage, pipes.add_to({.argv = {"true"}, .program = nul}), UV_EINVAL);
  test::check_refused(stage, pipes.add_to({.argv = {"true"}, .cwd = nul}), UV_EINVAL);
  for (const std::string& name : {nul, std::string(), std::string("a=b"), std::string("=")}) {
    test::check_refused(stage, pipes.add_to({.argv = {"true"}, .env = {.set = {{name, "1"}}}}), UV_EINVAL);
    test::check_refused(stage, pipes.add_to({.argv = {"true"}, .env = {.unset = {name}}}), UV_EINVAL);
  }
  test::check_refused(stage, pipes.add_to({.argv = {"true"}, .env = {.set = {{"A", nul}}}}), UV_EINVAL);
  for (auto place : {&command::input, &command::output, &command::error_output}) {
    command run = pipes.add_to({.argv = {"true"}});
    run.*place = stdio::file(nul, O_RDWR);
    test::check_refused(stage, run, UV_EINVAL);
  }
  for (auto place : {&command::input, &command::output}) {
    command run = pipes.add_to({.argv = {"true"}});
    run.*place = stdio::same_as_output();
    test::check_refused(stage, run, UV_EINVAL);
  }
  CHECK(pipes.are_untouched());
}

TEST_CASE("a descriptor that is negative or closed is refused, and not mistaken for a pipe made meanwhile") {
  test::stage stage;
  int closed[2];  // the lowest free numbers, which the next pipe gets
  REQUIRE(::pipe2(closed, O_CLOEXEC) == 0);
  for (int each : closed) ::close(each);
  for (int number : {-1, -2, closed[0], closed[1], 1 << 20, INT_MAX, INT_MIN}) {
    for (auto place : {&command::input, &command::output, &command::error_output}) {
      three_pipes pipes;
      command run = pipes.add_to({.argv = {"true"}});
      run.*place = stdio::descriptor(number);
      test::check_refused(stage, run, UV_EBADF);
      CHECK(pipes.are_untouched());
    }
  }
}

TEST_CASE("a mebibyte of arguments arrives, and what the kernel does not take is too big") {
  test::stage stage;
  soft_limit stack(RLIMIT_STACK, 8u << 20);  // a quarter of it is for arguments and environment
  constexpr std::size_t one = 64 << 10;
  command count = test::shell("echo $#; printf %s \"$@\" | wc -c");
  count.argv.push_back("sh");
  for (std::size_t sum = 0; sum < (1u << 20); sum += one) count.argv.emplace_back(one, 'x');
  CHECK(test::output_of(stage, count) == "16\n1048576\n");

  three_pipes pipes;
  test::check_refused(stage, pipes.add_to({.argv = {"true", std::string(1u << 20, 'x')}}), UV_E2BIG);
  command huge{.argv = {"true"}};
  for (int i = 0; i < 64; ++i) huge.argv.emplace_back(one, 'x');
  test::check_refused(stage, pipes.add_to(huge), UV_E2BIG);
  CHECK(pipes.are_untouched());
}

TEST_CASE("a hundred failures beside a good child leave it alone, and none is told") {
  test::stage stage;
  int input = -1;
  pid_t good = 0;
  int told = 0;
  command cat{.argv = {"cat"}, .input = stdio::pipe(&input)};
  REQUIRE(stage.reaper.spawn(&good, cat, [&](const child_exit& exit) {
    CHECK(exit.status.success());
    ++told;
  }) == 0);
  for (int i = 0; i < 100; ++i) {
    pid_t pid = test::untouched;
    CHECK(stage.reaper.spawn(&pid, {.argv = {"/no/such/program"}}, [](const child_exit&) { FAIL("told"); }) ==
          UV_ENOENT);
    CHECK(pid == test::untouched);
    if (i % 10 == 0) stage.turn();
  }
  CHECK(test::children() == std::set<pid_t>{good});
  CHECK(told == 0);
  ::close(input);
  stage.run_until([&] { return told == 1; });
}

TEST_CASE("descriptors that run out in the middle of the pipes leave none behind") {
  test::stage stage;
  for (int left = 0; left <= 6; ++left) {
    std::optional<test::descriptors_left> few(left);
    three_pipes pipes;
    pid_t pid = test::untouched;
    bool told = false;
    int error =
        stage.reaper.spawn(&pid, pipes.add_to({.argv = {"cat"}}), [&](const child_exit&) { told = true; });
    few.reset();
    int expected_more = left == 6 ? 3 : 0;
    CAPTURE(left);
    CHECK(error == (left == 6 ? 0 : UV_EMFILE));
    CHECK(pipes.are_untouched() == (left < 6));
    CHECK(test::children().size() == (left == 6 ? 1 : 0));
    if (error == 0) {
      int open = test::open_descriptors();
      pipes.close();
      CHECK(open - test::open_descriptors() == expected_more);
      stage.run_until([&] { return told; });
    } else {
      CHECK(pid == test::untouched);
    }
  }
}

TEST_CASE("descriptors that run out in the middle of captured streams leave none behind") {
  test::stage stage;
  for (int left = 0; left <= 4; ++left) {
    std::optional<test::descriptors_left> few(left);
    command hello = command{.argv = {"echo", "hello"}}.capture(64);
    pid_t pid = test::untouched;
    std::string text;
    int error = stage.reaper.spawn(&pid, hello, [&](const child_exit& exit) { text = exit.output.bytes; });
    few.reset();
    CAPTURE(left);
    CHECK(error == (left == 4 ? 0 : UV_EMFILE));
    CHECK((pid == test::untouched) == (left < 4));
    if (error == 0) stage.run_until([&] { return text == "hello\n"; });
    CHECK(test::children().empty());
    stage.turn();  // libuv lets go of what was made for nothing
  }
}

TEST_CASE("descriptors that run out while stdout and stderr are swapped leave none behind") {
  auto end = test::apart([] {
    command swap{.argv = {"true"}, .output = stdio::descriptor(2), .error_output = stdio::descriptor(1)};
    rlimit limit{32, 32};
    HOLDS(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    int copy = -1;
    int last = -1;
    while ((copy = ::fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0) last = copy;
    pid_t pid = test::untouched;
    HOLDS(uvreap::spawn(&pid, swap) == UV_EMFILE);
    ::close(last);
    HOLDS(uvreap::spawn(&pid, swap) == UV_EMFILE);  // one of two copies
    HOLDS(pid == test::untouched);
    HOLDS(::fcntl(last, F_GETFD) < 0);
    ::close(last - 1);
    HOLDS(uvreap::spawn(&pid, swap) == 0);
    HOLDS(uvreap::wait4(uvreap::scope::one(pid), 0).status.success());
    return 0;
  });
  CHECK_MESSAGE(end.word == 0, end.said);
}

namespace {

// As a user of its own, with so few processes allowed that one child is the last one.
int run_out_of_processes() {
  auto user = static_cast<uid_t>(100'000 + ::getpid());
  HOLDS(::setresuid(user, user, user) == 0);
  uv_loop_t loop;
  HOLDS(uv_loop_init(&loop) == 0);
  uvreap::reaper reaper(loop, test::options_of_this_run());
  HOLDS(reaper.start() == 0);
  int told = 0;
  auto tell = [&](const child_exit&) { ++told; };
  int input = test::untouched;
  command cat{.argv = {"cat"}, .input = stdio::pipe(&input)};
  pid_t pid = test::untouched;
  int descriptors = test::open_descriptors();
  // Threads count too, and a sanitizer may have one of its own.
  rlim_t allowed = 1;
  int error = UV_EAGAIN;
  for (; allowed < 8 && error == UV_EAGAIN; ++allowed) {
    HOLDS(pid == test::untouched);
    HOLDS(input == test::untouched);
    HOLDS(test::open_descriptors() == descriptors);
    HOLDS(test::children().empty());
    rlimit limit{allowed, RLIM_INFINITY};
    ::getrlimit(RLIMIT_NPROC, &limit);
    limit.rlim_cur = allowed;
    HOLDS(::setrlimit(RLIMIT_NPROC, &limit) == 0);
    error = reaper.spawn(&pid, cat, tell);
  }
  HOLDS(error == 0);
  HOLDS(allowed > 2);  // it was refused at least once

  pid_t second = test::untouched;
  HOLDS(reaper.spawn(&second, {.argv = {"true"}}, tell) == UV_EAGAIN);
  HOLDS(second == test::untouched);
  HOLDS(reaper.stats().watched == 1);
  ::close(input);
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(told == 1);
  HOLDS(reaper.spawn(&second, {.argv = {"true"}}, tell) == 0);  // reaping has made room
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(told == 2);
  HOLDS(reaper.close() == 0);
  uv_run(&loop, UV_RUN_DEFAULT);
  HOLDS(uv_loop_close(&loop) == 0);
  return 0;
}

}  // namespace

TEST_CASE("no more processes for this user is spawn's error, and reaping one makes room") {
  if (::geteuid() != 0) {
    MESSAGE("SKIP: only root can become another user");
    return;
  }
  test::stage stage;
  auto end = test::apart(run_out_of_processes);
  CHECK_MESSAGE(end.word == 0, end.said);
}
