// PID 1 of a container in a few lines: pid1 COMMAND [ARGS]. It reaps the orphans of the whole container,
// hands SIGTERM on to its main child (the kernel drops a signal that PID 1 has no handler for), and ends as
// that child ended, which ends everything else.
#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <uvreap/reaper.hpp>

struct init {
  uvreap::reaper reaper;
  pid_t main_child = 0;
  int code = 0;
};

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  uv_loop_t* loop = uv_default_loop();
  auto tell = [](const uvreap::child_exit& orphan) { std::cerr << "orphan: " << orphan << std::endl; };
  init init{uvreap::reaper(*loop, {.children = uvreap::scope::any(), .on_unclaimed = tell})};
  if (init.reaper.start() != 0) return 1;

  uv_signal_t on_term{};
  on_term.data = &init;
  auto forward = [](uv_signal_t* handle, int signum) {
    auto* to = static_cast<struct init*>(handle->data);
    (void)to->reaper.kill(to->main_child, signum);
  };
  if (uv_signal_init(loop, &on_term) != 0 || uv_signal_start(&on_term, forward, SIGTERM) != 0) return 1;

  auto command = [argv] { return execvp(argv[1], argv + 1), 127; };
  auto stop = [&](const uvreap::child_exit& end) {
    init.code = end.status.signaled() ? 128 + end.status.term_signal() : end.status.exit_code();
    uv_stop(loop);
  };
  if (init.reaper.fork(&init.main_child, command, stop) != 0) return 1;
  uv_run(loop, UV_RUN_DEFAULT);
  return init.code;
}
