// A fork in the very moment in which the spawner opens a pipe: the test's own pipe2() holds it there.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>

#include "support/apart.hpp"
#include "support/spawns.hpp"

using std::chrono::milliseconds;
using uvreap::command;
using uvreap::stdio;

namespace {

enum class moment { idle, armed, open, over };
std::atomic<moment> now{moment::idle};

bool is_the_spawner() {
  char name[16]{};
  return ::pthread_getname_np(::pthread_self(), name, sizeof name) == 0 &&
         std::string_view(name) == "uvreap-spawner";
}

// As long as a fork may take that does not wait for the spawner.
void hold() {
  now = moment::open;
  test::stopwatch held;
  while (now == moment::open && held.elapsed() < milliseconds(500)) ::usleep(1000);
  now = moment::over;
}

void wait_until_it_is_open() {
  while (now == moment::armed) ::usleep(100);
}

}  // namespace

extern "C" int pipe2(int ends[2], int flags) noexcept {
  static auto original = reinterpret_cast<int (*)(int*, int)>(::dlsym(RTLD_NEXT, "pipe2"));
  int result = original(ends, flags);
  if (now == moment::armed && is_the_spawner()) hold();
  return result;
}

TEST_CASE("uvreap::fork waits for a pipe that is being opened, so that its copy can close it") {
  test::stage stage;
  int from_child = test::untouched;
  test::spawned_child child;
  test::gate end_of_copy;
  now = moment::armed;
  REQUIRE(child.ask(stage.reaper, {.argv = {"true"}, .output = stdio::pipe(&from_child)}) == 0);
  wait_until_it_is_open();
  pid_t copy = 0;
  REQUIRE(uvreap::fork(&copy) == 0);
  if (copy == 0) {
    end_of_copy.wait();
    ::_exit(0);
  }
  now = moment::over;
  stage.run_until([&] { return child.has_ended(); });
  CHECK(test::comes_to_its_end(from_child));  // else at the copy's end
  ::close(from_child);
  end_of_copy.open();
  CHECK(uvreap::wait4(uvreap::scope::one(copy), 0).status.success());
}

TEST_CASE("in a copy that was forked while the spawner held its lock, uvreap::fork does not wait for that") {
  test::stage stage;
  int from_child = test::untouched;
  test::spawned_child child;
  now = moment::armed;
  REQUIRE(child.ask(stage.reaper, {.argv = {"true"}, .output = stdio::pipe(&from_child)}) == 0);
  wait_until_it_is_open();
  auto end = test::apart([] {
    pid_t pid = 0;
    HOLDS(uvreap::fork(&pid) == 0);
    if (pid == 0) ::_exit(0);
    HOLDS(uvreap::wait4(uvreap::scope::one(pid), 0).status.success());
    return 0;
  });
  CHECK_MESSAGE(end.word == 0, end.said);
  now = moment::over;
  stage.run_until([&] { return child.has_ended(); });
  ::close(from_child);
}

TEST_CASE("a child that spawn() makes meanwhile gives its output's end, though a copy lives on") {
  test::gate end_of_copy;
  test::long_spawn held;
  uvreap::stdio gate = held.gate();
  int from_child = test::untouched;
  pid_t child = 0;
  std::thread making([&] {
    (void)uvreap::spawn(&child, {.argv = {"true"}, .input = gate, .output = stdio::pipe(&from_child)});
  });
  held.wait_until_being_made();
  pid_t copy = 0;
  REQUIRE(uvreap::fork(&copy) == 0);
  if (copy == 0) {
    end_of_copy.wait();
    ::_exit(0);
  }
  held.open();
  making.join();
  CHECK(test::comes_to_its_end(from_child));  // else at the copy's end
  ::close(from_child);
  CHECK(uvreap::wait4(uvreap::scope::one(child), 0).status.success());
  end_of_copy.open();
  CHECK(uvreap::wait4(uvreap::scope::one(copy), 0).status.success());
}
