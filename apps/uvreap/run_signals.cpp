#include "run_signals.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace {

// Of those with a default: which kill (signal(7)) and are not for faults of our own.
constexpr int deadly[] = {SIGHUP,    SIGINT,  SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,  SIGALRM,
                          SIGVTALRM, SIGPROF, SIGXCPU, SIGPOLL, SIGPWR,  SIGSTKFLT};

bool is_ignored(int signum) {
  struct sigaction now {};
  return ::sigaction(signum, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

run_signals::run_signals(uv_loop_t& loop, listener listener) : loop_(loop), listener_(std::move(listener)) {}

int run_signals::start() {
  auto ending = [](uv_signal_t* handle, int signum) {
    static_cast<run_signals*>(handle->data)->listener_.ending(signum);
  };
  auto stopping = [](uv_signal_t* handle, int) {
    static_cast<run_signals*>(handle->data)->listener_.stopping();
  };
  auto resized = [](uv_signal_t* handle, int) {
    static_cast<run_signals*>(handle->data)->listener_.resized();
  };
  // Above the limit on a file's size (ulimit -f) a write is to fail, and not to kill us.
  auto ignored = [](uv_signal_t*, int) {};
  for (int signum : deadly) {
    if (int error = listen(signum, ending); error != 0) return error;
  }
  for (int signum = SIGRTMIN; signum <= SIGRTMAX; ++signum) {
    if (int error = listen(signum, ending); error != 0) return error;
  }
  if (int error = listen(SIGXFSZ, ignored); error != 0) return error;
  if (int error = listen(SIGTSTP, stopping); error != 0) return error;
  return listen(SIGWINCH, resized);
}

int run_signals::listen(int signum, uv_signal_cb heard) {
  if (is_ignored(signum)) return 0;
  uv_signal_t& handle = handles_.emplace_back();
  uv_signal_init(&loop_, &handle);
  handle.data = this;
  return uv_signal_start(&handle, heard, signum);
}

void run_signals::close() {
  for (uv_signal_t& one : handles_) uv_close(reinterpret_cast<uv_handle_t*>(&one), nullptr);
}

void run_signals::stop_ourselves() {
  struct sigaction by_default {};
  struct sigaction ours {};
  by_default.sa_handler = SIG_DFL;
  if (::sigaction(SIGTSTP, &by_default, &ours) != 0) return;
  ::raise(SIGTSTP);
  ::sigaction(SIGTSTP, &ours, nullptr);
}

bool is_in_foreground() {
  int terminal = ::open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (terminal < 0) return false;
  bool is_ours = ::tcgetpgrp(terminal) == ::getpgrp();
  ::close(terminal);
  return is_ours;
}

void die_of(int signum) {
  rlimit no_core{};
  ::getrlimit(RLIMIT_CORE, &no_core);
  no_core.rlim_cur = 0;
  ::setrlimit(RLIMIT_CORE, &no_core);
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  ::sigaction(signum, &by_default, nullptr);
  sigset_t that_one;
  ::sigemptyset(&that_one);
  ::sigaddset(&that_one, signum);
  ::pthread_sigmask(SIG_UNBLOCK, &that_one, nullptr);
  ::raise(signum);
}
