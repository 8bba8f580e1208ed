// No memory, through the C face: the k-th allocation of a call fails, for every k that it has. The answer is
// UV_ENOMEM and nothing changed; no exception gets into C.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <functional>
#include <new>
#include <utility>

#include "support/own_new.hpp"
#include "uvreap.h"

namespace {

thread_local int until_failure = 0;  // 0: none fails

}  // namespace

void* test::allocate(std::size_t size) {
  if (until_failure > 0 && --until_failure == 0) throw std::bad_alloc();
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void test::deallocate(void* memory) noexcept { std::free(memory); }

namespace {

// The call with its k-th allocation failing, until it makes fewer; each time what it gave instead of 0. How
// many failed.
int fails_cleanly(const std::function<int()>& call, const std::function<void()>& undo) {
  for (int k = 1;; ++k) {
    until_failure = k;
    int error = call();
    bool has_failed = std::exchange(until_failure, 0) == 0;
    if (error >= 0) undo();  // with memory after all: what failed was not needed
    if (!has_failed) {
      CHECK(error >= 0);
      return k - 1;
    }
    CAPTURE(k);
    if (error < 0) CHECK(error == UV_ENOMEM);
  }
}

struct floor {
  uv_loop_t loop{};
  uvreap_t* reaper = nullptr;
  floor() {
    REQUIRE(uv_loop_init(&loop) == 0);
    REQUIRE(uvreap_new(&reaper, &loop, nullptr) == 0);
    REQUIRE(uvreap_start(reaper) == 0);
  }
  ~floor() {
    uvreap_free(reaper);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
  }
};

void tell_nothing(const uvreap_exit_t*, void*) {}
int return_0(void*) { return 0; }

}  // namespace

TEST_CASE("a reaper is not made without memory") {
  uv_loop_t loop;
  REQUIRE(uv_loop_init(&loop) == 0);
  uvreap_t* reaper = nullptr;
  auto make = [&] { return uvreap_new(&reaper, &loop, nullptr); };
  CHECK(fails_cleanly(make, [&] { uvreap_free(reaper); }) > 0);
  CHECK(uv_loop_close(&loop) == 0);
}

TEST_CASE("a command is not run without memory, and leaves no child") {
  floor floor;
  char* argv[] = {const_cast<char*>("true"), nullptr};
  char* set[] = {const_cast<char*>("UVREAP_TEST_A_RATHER_LONG_NAME=and a rather long value of it"), nullptr};
  uvreap_command_t command{};
  command.size = sizeof command;
  command.argv = argv;
  command.env_set = set;
  command.output.kind = UVREAP_STDIO_CAPTURED;
  command.output.limit = 10;
  uvreap_watch_options_t options{};
  options.size = sizeof options;
  pid_t pid = 0;
  auto spawn = [&] { return uvreap_spawn(floor.reaper, &pid, &command, &options, tell_nothing, nullptr); };
  CHECK(fails_cleanly(spawn, [&] { uv_run(&floor.loop, UV_RUN_DEFAULT); }) > 3);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("a child is not forked without memory") {
  floor floor;
  pid_t pid = 0;
  auto fork = [&] { return uvreap_fork(floor.reaper, &pid, return_0, nullptr, tell_nothing, nullptr); };
  CHECK(fails_cleanly(fork, [&] { uv_run(&floor.loop, UV_RUN_DEFAULT); }) > 0);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("what needs memory in another way says UV_ENOMEM, too") {
  floor floor;
  auto nothing = [] {};
  auto post = [&] { return uvreap_post_watch(floor.reaper, 1, tell_nothing, nullptr); };
  CHECK(fails_cleanly(post, nothing) > 0);
  auto text = [] { return uvreap_status_text(9, nullptr, 0); };
  CHECK(fails_cleanly(text, nothing) > 0);
}
