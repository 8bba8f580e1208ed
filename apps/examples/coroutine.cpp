// A coroutine that runs a child after another, as if each waited.
#include <unistd.h>

#include <exception>
#include <iostream>
#include <uvreap/process.hpp>
#include <uvreap/reaper.hpp>

namespace {

// Starts at once, and cleans up after itself: all that a coroutine type needs here, and C++20 has none.
struct task {
  struct promise_type {
    task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

task count_to(int last, uvreap::reaper& reaper) {
  for (int number = 1; number <= last; ++number) {
    pid_t pid = 0;
    if (uvreap::fork(&pid) != 0) co_return;
    if (pid == 0) _exit(number);
    auto [error, exit] = co_await reaper.exit_of(pid);
    if (error != 0) co_return;
    std::cout << "child " << number << ' ' << exit.status << '\n';
  }
}

}  // namespace

int main() {
  uvreap::reaper reaper(*uv_default_loop());
  if (reaper.start() != 0) return 1;
  count_to(3, reaper);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
