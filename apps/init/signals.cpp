#include "signals.hpp"

#include <time.h>

namespace pid1 {
namespace {

sigset_t all_signals() {
  sigset_t all;
  ::sigfillset(&all);
  return all;
}

sigset_t set_of(int signum) {
  sigset_t one;
  ::sigemptyset(&one);
  ::sigaddset(&one, signum);
  return one;
}

bool is_ignored(int signum) {
  struct sigaction action {};
  ::sigaction(signum, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

// 0: none of them came within so many milliseconds (-1: for as long as it takes).
int wait_for(const sigset_t& which, int timeout_ms) {
  timespec timeout{.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1'000'000L};
  int signum = ::sigtimedwait(&which, nullptr, timeout_ms < 0 ? nullptr : &timeout);
  return signum > 0 ? signum : 0;  // EAGAIN, or EINTR after a stop
}

}  // namespace

inherited_signals::inherited_signals() : ignores_sigchld_(is_ignored(SIGCHLD)) {
  sigset_t all = all_signals();
  ::sigprocmask(SIG_SETMASK, &all, &mask_);
  if (ignores_sigchld_) ::signal(SIGCHLD, SIG_DFL);  // else the child would leave no status
}

void inherited_signals::give_back() const {
  if (ignores_sigchld_) ::signal(SIGCHLD, SIG_IGN);  // we change no other
  ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
}

bool inherited_signals::forget(int signum) { return wait_for(set_of(signum), 0) == signum; }

waiting_signals::waiting_signals() : all_(all_signals()), unheard_(all_) {}

// The kernel hands out the lowest number first, so whoever sends one without pause would hide all above it.
// After one was heard the others are asked for before it is heard again; after every 16th SIGCHLD only, since
// orphans come by the thousand.
int waiting_signals::next(int timeout_ms) {
  constexpr unsigned children_between_rounds = 16;
  if (in_round_) {
    if (int signum = take(unheard_, 0); signum != 0) return signum;
    in_round_ = false;
    unheard_ = all_;
  }
  int signum = take(all_, timeout_ms);
  in_round_ = signum != 0 && (signum != SIGCHLD || ++children_ % children_between_rounds == 0);
  return signum;
}

int waiting_signals::take(const sigset_t& which, int timeout_ms) {
  int signum = wait_for(which, timeout_ms);
  if (signum != 0) ::sigdelset(&unheard_, signum);
  return signum;
}

}  // namespace pid1
