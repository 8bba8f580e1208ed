// Signals of a PID 1: none is lost, none ends it, and the child sees nothing of that.
#pragma once

#include <signal.h>
#include <uv.h>

#include <functional>

namespace pid1 {

// Made first: from then on every signal waits in the kernel, also one that comes before there is a child. It
// is blocked and not handled: a handler could not end a loop of faults in ourselves, while a fault under a
// blocked signal is deadly as it should be; and nobody is ever stopped by a SIGTTOU that is blocked.
class inherited_signals {
 public:
  inherited_signals();

  // In the forked child: mask and dispositions as we found them.
  void give_back() const;

  // Of those that wait to be read: this one is forgotten. For what a call of our own had the kernel send.
  static void forget(int signum);

 private:
  sigset_t mask_{};
  bool ignores_sigchld_;
};

// The signals that wait, told on the loop. Real-time signals as often as they were sent; of the others the
// kernel keeps one.
class signal_feed {
 public:
  signal_feed(uv_loop_t&, std::function<void(int signum)>);
  ~signal_feed();
  signal_feed(const signal_feed&) = delete;  // libuv holds the address of the handle
  signal_feed& operator=(const signal_feed&) = delete;

  [[nodiscard]] int start();  // UV_E*

 private:
  void read();

  uv_loop_t& loop_;
  std::function<void(int)> tell_;
  uv_poll_t handle_{};
  int descriptor_ = -1;
};

}  // namespace pid1
