// Spawning off the loop: what is told and when, what is taken in the call, and that all else is as with
// spawn.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <deque>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/loop_handle.hpp"
#include "support/proc.hpp"
#include "support/sanitizers.hpp"
#include "support/spawns.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;
using uvreap::command;
using uvreap::stdio;

namespace {

// Runs it to its end; what it wrote.
std::string written_by(test::stage& stage, command what) {
  test::spawned_child child;
  what.capture(100'000);
  REQUIRE(child.ask(stage.reaper, what) == 0);
  stage.run_until([&] { return child.has_ended(); });
  CHECK(child.was_told_once());
  return child.ended[0].output.bytes + child.ended[0].error_output.bytes;
}

}  // namespace

TEST_CASE("a child is told to have started, with its pid, and later to have ended; nothing inside the call") {
  test::stage stage;
  int input = test::untouched;
  command cat = test::shell("read line; exit 3");
  cat.input = stdio::pipe(&input);
  test::spawned_child child;
  REQUIRE(child.ask(stage.reaper, cat) == 0);
  CHECK_FALSE(child.has_started());
  CHECK(input == test::untouched);
  stage.run_until([&] { return child.has_started(); });
  CHECK(child.started[0].error == 0);
  CHECK(test::children() == std::set<pid_t>{child.pid()});
  CHECK(stage.reaper.stats().watched == 1);
  CHECK_FALSE(child.has_ended());
  ::close(input);
  stage.run_until([&] { return child.has_ended(); });
  CHECK(child.was_told_once());
  CHECK(child.ended[0].status.exit_code() == 3);
  CHECK(child.ended[0].usage.max_rss_bytes > 0);
}

TEST_CASE("no child is told to have ended before it was told to have started, and each of both once") {
  test::stage stage;
  std::deque<test::spawned_child> all(test::patience() == 1 ? 600 : 60);
  for (auto& one : all) REQUIRE(one.ask(stage.reaper, {.argv = {"true"}}) == 0);
  stage.run_dry();
  for (auto& one : all) {
    CHECK(one.was_told_once());
    CHECK(one.ended[0].status.success());
  }
  CHECK(stage.reaper.stats().lost == 0);
}

TEST_CASE("an end that came before its start is noticed without the poller") {
  if (test::poller_alone()) return;
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(0);
  test::stage stage(options);
  for (int i = 0; i < 50; ++i) {
    test::spawned_child child;
    REQUIRE(child.ask(stage.reaper, {.argv = {"true"}}) == 0);
    stage.run_until([&] { return child.has_ended(); }, std::chrono::seconds(5));
  }
}

TEST_CASE("calls start in the order in which they were made") {
  test::stage stage;
  std::vector<int> order;
  pid_t last = 0;
  for (int i = 0; i < 50; ++i) {
    auto started = [&, i](int error, pid_t pid) {
      CHECK(error == (i % 5 == 4 ? UV_ENOENT : 0));
      order.push_back(i);
      last = pid;
    };
    command what{.argv = {i % 5 == 4 ? "no-such-program-anywhere" : "true"}};
    REQUIRE(stage.reaper.spawn_async(what, started, [](const child_exit&) {}) == 0);
  }
  stage.run_dry();
  REQUIRE(order.size() == 50);
  for (int i = 0; i < 50; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("what cannot be made is told with the error, and has no end; what makes no sense fails at once") {
  test::stage stage;
  test::scratch_directory scratch;
  auto check_refused = [&](command what, int error) {
    CAPTURE(error);
    int descriptors = test::open_descriptors();
    int from_child = test::untouched;
    what.output = stdio::pipe(&from_child);
    test::spawned_child child;
    REQUIRE(child.ask(stage.reaper, what) == 0);
    stage.run_dry();
    CHECK(child.failed_with(error));
    CHECK(from_child == test::untouched);
    CHECK(test::open_descriptors() == descriptors);
    CHECK(test::children().empty());
    CHECK(stage.reaper.stats().watched == 0);
  };
  written_by(stage, {.argv = {"true"}});  // libuv's and the spawner's descriptors are there now
  check_refused({.argv = {"no-such-program-anywhere"}}, UV_ENOENT);
  check_refused({.argv = {"/no/such/program"}}, UV_ENOENT);
  check_refused({.argv = {""}}, UV_ENOENT);
  check_refused({.argv = {scratch.make("locked", "#!/bin/sh\n", 0644)}}, UV_EACCES);
  check_refused({.argv = {scratch.path()}}, UV_EACCES);
  check_refused({.argv = {"true"}, .cwd = "/no/such/directory"}, UV_ENOENT);
  check_refused({.argv = {"true"}, .error_output = stdio::file(scratch / "none", O_RDONLY)}, UV_ENOENT);
  check_refused({.argv = {"true", std::string(200'000, 'x')}}, UV_E2BIG);

  test::spawned_child never;
  int descriptors = test::open_descriptors();
  command true_{.argv = {"true"}};
  CHECK(never.ask(stage.reaper, {}) == UV_EINVAL);
  CHECK(never.ask(stage.reaper, {.argv = {"true", std::string("a\0b", 3)}}) == UV_EINVAL);
  CHECK(never.ask(stage.reaper, {.argv = {"true"}, .output = stdio::descriptor(-1)}) == UV_EBADF);
  CHECK(never.ask(stage.reaper, {.argv = {"true"},
                                 .input = stdio::descriptor(1),
                                 .error_output = stdio::descriptor(9999)}) == UV_EBADF);
  CHECK(never.ask(stage.reaper, true_, {.timeout = milliseconds(-1)}) == UV_EINVAL);
  CHECK(stage.reaper.spawn_async(true_, {}, never.on_end()) == UV_EINVAL);
  stage.run_dry();
  CHECK_FALSE(never.has_started());
  CHECK(test::open_descriptors() == descriptors);
}

TEST_CASE("a full queue refuses at once, and takes again what there is room for") {
  auto options = test::options_of_this_run();
  options.spawn_queue = 3;
  test::stage stage(options);
  std::deque<test::spawned_child> all(4);
  test::long_spawn first(stage.reaper);
  REQUIRE(all[0].ask(stage.reaper, {.argv = {"true"}}) == 0);
  REQUIRE(all[1].ask(stage.reaper, {.argv = {"true"}}) == 0);
  CHECK(all[2].ask(stage.reaper, {.argv = {"true"}}) == UV_EAGAIN);
  first.open();
  stage.run_until([&] { return first.child.has_started(); });
  CHECK(all[3].ask(stage.reaper, {.argv = {"true"}}) == 0);
  stage.run_dry();
  CHECK(first.child.was_told_once());
  CHECK(all[0].was_told_once());
  CHECK(all[1].was_told_once());
  CHECK_FALSE(all[2].has_started());
  CHECK(all[3].was_told_once());

  options.spawn_queue = 0;
  CHECK(uvreap::reaper(stage.loop, options).start() == UV_EINVAL);
}

TEST_CASE("environment, PATH and arguments are those of the call, whatever is set before the child is made") {
  test::stage stage;
  test::scratch_directory scratch;
  (void)scratch.make("uvreap-tool", "#!/bin/sh\necho \"$UVREAP_A $UVREAP_B $UVREAP_C $UVREAP_D $1\"\n", 0755);
  std::string path = ::getenv("PATH");
  ::setenv("PATH", (scratch.path() + ":" + path).c_str(), 1);
  ::setenv("UVREAP_A", "ours", 1);
  ::setenv("UVREAP_B", "ours", 1);
  char own_text[] = "UVREAP_D=ours";
  ::putenv(own_text);  // the environment is this array from now on
  command what{.argv = {"uvreap-tool", "argument"}};
  what.env.set = {{"UVREAP_B", "set"}, {"UVREAP_C", "set too"}};
  what.capture(1000);
  command plain{.argv = {"uvreap-tool", "plain"}};
  plain.capture(1000);
  test::spawned_child child;
  test::spawned_child plain_child;
  {
    test::long_spawn before(stage.reaper);
    REQUIRE(child.ask(stage.reaper, what) == 0);
    REQUIRE(plain_child.ask(stage.reaper, plain) == 0);
    what.argv = {"false"};
    ::setenv("PATH", path.c_str(), 1);
    ::setenv("UVREAP_A", "later", 1);
    ::unsetenv("UVREAP_B");
    own_text[sizeof own_text - 2] = '?';
    before.open();
    stage.run_dry();
  }
  REQUIRE(child.was_told_once());
  CHECK(child.ended[0].output.bytes == "ours set set too ours argument\n");
  REQUIRE(plain_child.was_told_once());
  CHECK(plain_child.ended[0].output.bytes == "ours ours  ours plain\n");
  ::unsetenv("UVREAP_A");
  ::unsetenv("UVREAP_D");
}

TEST_CASE("descriptors are those of the call: closed or changed since, the given and the inherited ones") {
  test::stage stage;
  test::scratch_directory scratch;
  int given = ::open(scratch.make("given", "given\n").c_str(), O_RDONLY | O_CLOEXEC);
  int inherited = ::open(scratch.make("inherited", "").c_str(), O_WRONLY | O_CLOEXEC);
  int ours = ::fcntl(1, F_DUPFD_CLOEXEC, 3);
  REQUIRE(given >= 3);
  REQUIRE(inherited >= 3);
  REQUIRE(ours >= 3);
  test::spawned_child child;
  {
    test::long_spawn before(stage.reaper);
    ::dup2(inherited, 1);
    int error = child.ask(stage.reaper, {.argv = {"cat"}, .input = stdio::descriptor(given)});
    ::dup2(ours, 1);
    REQUIRE(error == 0);
    ::close(given);
    int other = ::open("/dev/null", O_RDONLY | O_CLOEXEC);  // takes its number
    before.open();
    stage.run_dry();
    ::close(other);
  }
  ::close(inherited);
  ::close(ours);
  CHECK(child.was_told_once());
  CHECK(scratch.contents("inherited") == "given\n");
}

TEST_CASE(
    "a standard descriptor that is closed in the call is closed in the child, whatever is opened since") {
  test::stage stage;
  test::scratch_directory scratch;
  int ours = ::fcntl(0, F_DUPFD_CLOEXEC, 3);
  REQUIRE(ours >= 3);
  test::spawned_child child;
  command list = test::shell("if test -e /proc/self/fd/0; then echo open; else echo closed; fi");
  list.capture(1000);
  (void)written_by(stage, list);  // with the first stream libuv opens /dev/null for itself
  {
    test::long_spawn before(stage.reaper);
    ::close(0);
    int error = child.ask(stage.reaper, list);
    int other = ::open("/dev/null", O_RDONLY);
    CHECK(other == 0);
    REQUIRE(error == 0);
    before.open();
    stage.run_dry();
  }
  ::dup2(ours, 0);
  ::close(ours);
  REQUIRE(child.was_told_once());
  CHECK(child.ended[0].output.bytes == "closed\n");
}

TEST_CASE("the signal mask is that of the call, and by default nothing is blocked") {
  test::stage stage;
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  command look{.argv = {"grep", "SigBlk", "/proc/self/status"}};
  CHECK(written_by(stage, look) == "SigBlk:\t0000000000000000\n");
  look.signals = uvreap::child_signals::inherited;
  look.capture(1000);
  test::spawned_child child;
  {
    test::long_spawn first(stage.reaper);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &blocked, &before) == 0);
    int error = child.ask(stage.reaper, look);
    REQUIRE(::pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
    REQUIRE(error == 0);
    first.open();
    stage.run_dry();
  }
  REQUIRE(child.was_told_once());
  CHECK(child.ended[0].output.bytes == "SigBlk:\t0000000000000200\n");
}

TEST_CASE("the working directory is that of the moment of the making") {
  test::stage stage;
  test::scratch_directory there;
  char before[4096];
  REQUIRE(::getcwd(before, sizeof before) != nullptr);
  command where{.argv = {"pwd", "-P"}};
  where.capture(1000);
  test::spawned_child child;
  {
    test::long_spawn first(stage.reaper);
    REQUIRE(child.ask(stage.reaper, where) == 0);
    REQUIRE(::chdir(there.path().c_str()) == 0);
    first.open();
    stage.run_dry();
  }
  REQUIRE(::chdir(before) == 0);
  REQUIRE(child.was_told_once());
  CHECK(child.ended[0].output.bytes == there.path() + "\n");
}

TEST_CASE("pipes and captures are the child's and ours, and both come to their end") {
  test::stage stage;
  int to_child = test::untouched;
  int from_child = test::untouched;
  command cat{.argv = {"cat"}, .input = stdio::pipe(&to_child), .output = stdio::pipe(&from_child)};
  test::spawned_child child;
  REQUIRE(child.ask(stage.reaper, cat) == 0);
  stage.run_until([&] { return child.has_started(); });
  REQUIRE(to_child >= 3);
  REQUIRE(from_child >= 3);
  CHECK((::fcntl(from_child, F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(from_child, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(::write(to_child, "text", 4) == 4);
  ::close(to_child);
  stage.run_until([&] { return child.has_ended(); });
  CHECK(test::read_all(from_child) == "text");
  CHECK(test::comes_to_its_end(from_child));
  ::close(from_child);

  CHECK(written_by(stage, test::shell("echo out; echo error >&2; head -c 300000 /dev/zero | wc -c")) ==
        "out\n300000\nerror\n");
}

TEST_CASE("a started child can be terminated, killed, released and detached, from its callback on") {
  test::stage stage;
  command sleeper{.argv = {"sleep", "600"}};  // no group: by number its leader's zombie would be kept
  std::vector<child_exit> ended;
  std::vector<pid_t> released;
  auto on_end = [&](const child_exit& exit) { ended.push_back(exit); };
  auto start = [&](auto call) {
    auto started = [&, call](int error, pid_t pid) {
      CHECK(error == 0);
      CHECK(call(pid) == 0);
    };
    REQUIRE(stage.reaper.spawn_async(sleeper, started, on_end) == 0);
  };
  start([&](pid_t pid) { return stage.reaper.terminate(pid, std::chrono::seconds(5)); });
  start([&](pid_t pid) { return stage.reaper.kill(pid, SIGKILL); });
  stage.run_until([&] { return ended.size() == 2; });
  CHECK(ended[0].status.term_signal() + ended[1].status.term_signal() == SIGTERM + SIGKILL);

  start([&](pid_t pid) {
    released.push_back(pid);
    return stage.reaper.release(pid);
  });
  bool is_detached = false;
  start([&](pid_t pid) {
    is_detached = true;
    return stage.reaper.kill(pid, SIGKILL) + stage.reaper.detach(pid);
  });
  stage.run_until([&] { return is_detached && stage.reaper.stats().watched == 0; });
  CHECK(ended.size() == 2);
  CHECK(test::children() == std::set<pid_t>{released[0]});
  CHECK(test::clean_up_children() == 1);
}

TEST_CASE("a deadline holds from the start on, not from the call") {
  test::stage stage;
  test::spawned_child child;
  {
    test::long_spawn before(stage.reaper);
    REQUIRE(child.ask(stage.reaper, {.argv = {"sleep", "600"}}, {.timeout = milliseconds(100)}) == 0);
    stage.run_for(milliseconds(300));
    CHECK_FALSE(child.has_started());
  }
  stage.run_until([&] { return child.has_started(); });
  test::stopwatch since;
  stage.run_until([&] { return child.has_ended(); });
  CHECK(since.elapsed() >= milliseconds(90));
  CHECK(child.was_told_once());
  CHECK(child.ended[0].timed_out);
}

TEST_CASE("without a callback for the end the child is reserved, for a later watch") {
  test::stage stage;
  pid_t pid = 0;
  auto started = [&](int, pid_t number) { pid = number; };
  REQUIRE(stage.reaper.spawn_async(test::shell("exit 4"), started, {}) == 0);
  stage.run_dry();  // it holds the loop until it has started, and no longer
  REQUIRE(pid != 0);
  CHECK(stage.reaper.stats().reserved == 1);
  int code = -1;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { code = exit.status.exit_code(); }) == 0);
  stage.run_until([&] { return code != -1; });
  CHECK(code == 4);
}

TEST_CASE("a call without ref does not hold the loop, neither before its start nor after it") {
  test::stage stage;
  test::spawned_child child;
  int input = test::untouched;
  {
    test::long_spawn before(stage.reaper);
    REQUIRE(child.ask(stage.reaper, {.argv = {"cat"}, .input = stdio::pipe(&input)}, {.ref = false}) == 0);
    before.open();
    stage.run_until([&] { return before.child.has_ended(); });
  }
  stage.run_until([&] { return child.has_started(); });
  stage.run_dry();
  CHECK_FALSE(child.has_ended());
  ::close(input);
  stage.run_until([&] { return child.has_ended(); });
}

TEST_CASE("work that fills libuv's pool holds no spawn up") {
  test::stage stage;
  std::atomic<bool> is_over{false};
  std::array<uv_work_t, 8> work{};
  for (auto& one : work) {
    one.data = &is_over;
    auto wait = [](uv_work_t* mine) { static_cast<std::atomic<bool>*>(mine->data)->wait(false); };
    REQUIRE(uv_queue_work(&stage.loop, &one, wait, [](uv_work_t*, int) {}) == 0);
  }
  test::spawned_child child;
  REQUIRE(child.ask(stage.reaper, {.argv = {"true"}}) == 0);
  stage.run_until([&] { return child.has_ended(); });
  CHECK(child.was_told_once());
  is_over = true;
  is_over.notify_all();
  stage.run_dry();
}

TEST_CASE("the loop turns while a child is being made") {
  test::stage stage;
  test::long_spawn slow(stage.reaper);
  int ticks = 0;
  bool late = false;
  auto tick = test::after(stage.loop, milliseconds(1), [&] { ++ticks; });
  auto end = test::after(stage.loop, milliseconds(20), [&] { late = true; });
  stage.run_until([&] { return late; });
  CHECK(ticks == 1);
  CHECK_FALSE(slow.child.has_started());
  slow.open();
  stage.run_until([&] { return slow.child.has_ended(); });
  CHECK(slow.child.was_told_once());
}

TEST_CASE("a child's parent-death signal does not come when the loop's thread ends") {
  test::stage stage;
  int input = test::untouched;
  pid_t pid = 0;
  std::thread other([&] {
    uv_loop_t loop;
    uv_loop_init(&loop);
    {
      uvreap::reaper reaper(loop, test::options_of_this_run());
      if (reaper.start() != 0) return;
      command mourner{.argv = {"setpriv", "--pdeathsig=KILL", "cat"}, .input = stdio::pipe(&input)};
      auto started = [&](int, pid_t number) { pid = number; };
      if (reaper.spawn_async(mourner, started, {}) != 0) return;
      uv_run(&loop, UV_RUN_DEFAULT);
      (void)reaper.release(pid);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  });
  other.join();
  REQUIRE(pid != 0);
  int code = -1;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { code = exit.status.exit_code(); }) == 0);
  stage.run_for(milliseconds(50));
  CHECK(code == -1);
  ::close(input);
  stage.run_until([&] { return code != -1; });
  CHECK(code == 0);
}

TEST_CASE("loops on several threads share the spawner, and each is told of its own") {
  constexpr int threads = 3;
  constexpr int each = 40;
  std::array<int, threads> good{};
  test::stage stage;
  {
    std::vector<std::jthread> all;
    for (int& count : good) {
      all.emplace_back([&count] {
        uv_loop_t loop;
        uv_loop_init(&loop);
        {
          uvreap::reaper reaper(loop, test::options_of_this_run());
          std::deque<test::spawned_child> mine(each);
          if (reaper.start() != 0) return;
          for (auto& one : mine) (void)!one.ask(reaper, test::shell("exit 5"));
          uv_run(&loop, UV_RUN_DEFAULT);
          for (auto& one : mine) count += one.was_told_once() && one.ended[0].status.exit_code() == 5 ? 1 : 0;
        }
        uv_run(&loop, UV_RUN_DEFAULT);
        uv_loop_close(&loop);
      });
    }
  }
  for (int count : good) CHECK(count == each);
}
