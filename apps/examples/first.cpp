#include <unistd.h>

#include <iostream>
#include <uvreap/reaper.hpp>

int main() {
  uvreap::reaper reaper(*uv_default_loop());
  if (reaper.start() != 0) return 1;
  pid_t pid = fork();  // or vfork, posix_spawn, clone, a library's: any child of this process
  if (pid == 0) _exit(execlp("sh", "sh", "-c", "exit 3", nullptr));
  auto tell = [](const uvreap::child_exit& exit) { std::cout << exit << '\n'; };
  if (reaper.watch(pid, tell) != 0) return 1;
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
