// The signals that end, stop or resize uvreap run. One that was ignored when it was started stays ignored
// (nohup), for its jobs too.
#pragma once

#include <uv.h>

#include <functional>
#include <list>

class run_signals {
 public:
  struct listener {
    std::function<void(int signum)> ending;  // what would kill us by default
    std::function<void()> stopping;          // SIGTSTP: Ctrl-Z
    std::function<void()> resized;           // SIGWINCH: the terminal has another width
  };

  run_signals(uv_loop_t&, listener);
  run_signals(const run_signals&) = delete;
  run_signals& operator=(const run_signals&) = delete;

  [[nodiscard]] int start();  // UV_E*
  void close();

  // As SIGTSTP does by default: returns when we are continued, or at once where nobody could do that (an
  // orphaned process group, see setpgid(2)).
  void stop_ourselves();

 private:
  [[nodiscard]] int listen(int signum, uv_signal_cb heard);

  uv_loop_t& loop_;
  listener listener_;
  std::list<uv_signal_t> handles_;
};

// Whether the terminal gives its signals to our process group, and so to a command in it as well.
[[nodiscard]] bool is_in_foreground();

// Ends this process by the signal that ended its work, as the caller's shell expects it: bash ends a loop for
// a program that SIGINT killed, and not for one that exited with 130. Without a core file, which would be
// ours and of no use. Returns where nothing can kill us so, as PID 1.
void die_of(int signum);
