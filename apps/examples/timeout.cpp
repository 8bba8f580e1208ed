// Runs a command for so long at most: timeout SECONDS COMMAND [ARGS]. Ends as the command does, 128 and the
// signal that killed it, or 124 if its time was up: then it gets SIGTERM, and SIGKILL two seconds later.
//
// The command stays in our process group, so that it may use the terminal; what it started itself is not
// ended. With process_group::created it would be: see group_kill.cpp.
#include <cstdlib>
#include <iostream>
#include <uvreap/reaper.hpp>

int main(int argc, char** argv) {
  char* rest = nullptr;
  double seconds = argc > 2 ? std::strtod(argv[1], &rest) : 0;
  if (argc < 3 || *rest != '\0' || !(seconds > 0 && seconds < 1e9)) {
    std::cerr << "usage: timeout SECONDS COMMAND [ARGS]\n";
    return 125;
  }
  uv_loop_t* loop = uv_default_loop();
  uvreap::reaper reaper(*loop);
  if (reaper.start() != 0) return 125;

  uvreap::command command{.argv = {argv + 2, argv + argc}};
  uvreap::watch_options limits;
  limits.timeout = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
  limits.grace = std::chrono::seconds(2);
  int code = 125;
  auto note = [&](const uvreap::child_exit& exit) {
    if (exit.status.exited()) code = exit.status.exit_code();
    if (exit.status.signaled()) code = 128 + exit.status.term_signal();
    if (exit.timed_out) code = 124;
  };
  pid_t pid = 0;
  if (int error = reaper.spawn(&pid, command, limits, note); error != 0) {
    std::cerr << "timeout: " << command.argv[0] << ": " << uv_strerror(error) << '\n';
    return error == UV_ENOENT ? 127 : 126;
  }
  uv_run(loop, UV_RUN_DEFAULT);
  return code;
}
