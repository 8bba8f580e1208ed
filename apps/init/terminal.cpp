#include "terminal.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "signals.hpp"

namespace pid1 {

// All of this runs with SIGTTOU blocked: tcsetpgrp from the background is allowed then.

terminal::terminal() : descriptor_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
  // A container may have no /dev/tty, but then its terminal is what it was started on.
  if (descriptor_ < 0 && ::tcgetpgrp(STDIN_FILENO) >= 0) {
    descriptor_ = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  }
  is_free_ = descriptor_ < 0 && ::isatty(STDIN_FILENO) == 1;
}

terminal::~terminal() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void terminal::enter_group() const {
  if (is_free_) {
    ::setsid();
    ::ioctl(STDIN_FILENO, TIOCSCTTY, 0);  // refused if another session has it: then there is none
    return;
  }
  // Both are 0 where they lie outside of our pid namespace.
  bool is_in_foreground = descriptor_ >= 0 && ::tcgetpgrp(descriptor_) == ::getpgrp();
  ::setpgid(0, 0);
  if (is_in_foreground) ::tcsetpgrp(descriptor_, ::getpid());
}

void terminal::leave() {
  bool leads_session = ::getsid(0) == ::getpid();
  if (::ioctl(STDIN_FILENO, TIOCNOTTY) == 0 && leads_session) {
    // The kernel sends both to a foreground that loses its terminal; we are in it.
    inherited_signals::forget(SIGHUP);
    inherited_signals::forget(SIGCONT);
  }
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

void terminal::enter_session() const {
  ::setsid();
  ::ioctl(STDIN_FILENO, TIOCSCTTY, 0);
}

void terminal::give_to(pid_t group) const {
  if (descriptor_ < 0 || ::getpgrp() == 0) return;
  if (::tcgetpgrp(descriptor_) == ::getpgrp()) ::tcsetpgrp(descriptor_, group);
}

void terminal::take_back_from(pid_t group) const {
  if (descriptor_ < 0 || ::getpgrp() == 0) return;
  if (::tcgetpgrp(descriptor_) == group) ::tcsetpgrp(descriptor_, ::getpgrp());
}

bool terminal::is_stopped(pid_t group, int signum) const {
  if (descriptor_ < 0) return false;
  return signum == SIGTSTP || signum == SIGTTIN || signum == SIGTTOU || ::tcgetpgrp(descriptor_) == group;
}

bool terminal::stop_beside(pid_t group) const {
  if (::getpid() == 1 || ::getsid(0) == ::getpid()) return false;
  take_back_from(group);
  // The whole group, as a key would have: the other ends of a pipeline are of the same job. It is SIGTSTP,
  // and not SIGSTOP, since the kernel drops it where nobody would continue us (an orphaned group).
  ::kill(0, SIGTSTP);
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTSTP);
  ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // here we stop
  ::sigprocmask(SIG_BLOCK, &stop, nullptr);
  return inherited_signals::forget(SIGCONT);
}

}  // namespace pid1
