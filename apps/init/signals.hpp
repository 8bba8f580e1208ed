// Signals of a PID 1: none is lost, none ends it, and the child sees nothing of that.
#pragma once

#include <signal.h>

namespace pid1 {

// Made first: from then on every signal waits in the kernel, also one that comes before there is a child. It
// is blocked and not handled: a handler could not end a loop of faults in ourselves, while a fault under a
// blocked signal is deadly as it should be; and nobody is ever stopped by a SIGTTOU that is blocked.
class inherited_signals {
 public:
  inherited_signals();

  // In the forked child: mask and dispositions as we found them.
  void give_back() const;

  // Of those that wait to be read: this one is forgotten. For what a call of our own had the kernel send. Was
  // it there?
  static bool forget(int signum);

 private:
  sigset_t mask_{};
  bool ignores_sigchld_;
};

// The signals that wait in the kernel, one after another: real-time signals as often as they were sent; of
// the others the kernel keeps one. All that happens to init is a signal or a matter of time, so this is where
// it sleeps: sigtimedwait, as in tini. A loop that polls a signalfd takes half as much again for an orphan.
class waiting_signals {
 public:
  waiting_signals();
  // 0: none came within so many milliseconds (-1: for as long as it takes).
  [[nodiscard]] int next(int timeout_ms);

 private:
  [[nodiscard]] int take(const sigset_t&, int timeout_ms);

  const sigset_t all_;
  sigset_t unheard_;  // in this round
  bool in_round_ = false;
  unsigned children_ = 0;
};

}  // namespace pid1
