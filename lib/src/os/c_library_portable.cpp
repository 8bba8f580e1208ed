#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "os/c_library.hpp"

namespace uvreap::c_library {
namespace {

int add_close_if_inherited(posix_spawn_file_actions_t& actions, int number) noexcept {
  int flags = ::fcntl(number, F_GETFD);
  if (flags < 0 || (flags & FD_CLOEXEC) != 0) return 0;
  return ::posix_spawn_file_actions_addclose(&actions, number);
}

}  // namespace

void make_exit_immediate() noexcept {}

const char* signal_abbreviation(int signum) noexcept {
  switch (signum) {
    // clang-format off
    case SIGHUP: return "HUP";
    case SIGINT: return "INT";
    case SIGQUIT: return "QUIT";
    case SIGILL: return "ILL";
    case SIGTRAP: return "TRAP";
    case SIGABRT: return "ABRT";
    case SIGBUS: return "BUS";
    case SIGFPE: return "FPE";
    case SIGKILL: return "KILL";
    case SIGUSR1: return "USR1";
    case SIGSEGV: return "SEGV";
    case SIGUSR2: return "USR2";
    case SIGPIPE: return "PIPE";
    case SIGALRM: return "ALRM";
    case SIGTERM: return "TERM";
    case SIGSTKFLT: return "STKFLT";
    case SIGCHLD: return "CHLD";
    case SIGCONT: return "CONT";
    case SIGSTOP: return "STOP";
    case SIGTSTP: return "TSTP";
    case SIGTTIN: return "TTIN";
    case SIGTTOU: return "TTOU";
    case SIGURG: return "URG";
    case SIGXCPU: return "XCPU";
    case SIGXFSZ: return "XFSZ";
    case SIGVTALRM: return "VTALRM";
    case SIGPROF: return "PROF";
    case SIGWINCH: return "WINCH";
    case SIGPOLL: return "POLL";
    case SIGPWR: return "PWR";
    case SIGSYS: return "SYS";
    default: return nullptr;
      // clang-format on
  }
}

int add_close_from(posix_spawn_file_actions_t& actions, int lowest) noexcept {
  std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir("/proc/self/fd"), ::closedir);
  if (open) {
    while (const dirent* one = ::readdir(open.get())) {
      int number = std::atoi(one->d_name);  // 0 for . and ..
      if (number < lowest) continue;
      if (int error = add_close_if_inherited(actions, number); error != 0) return error;
    }
    return 0;
  }
  long limit = ::sysconf(_SC_OPEN_MAX);  // no /proc, or no descriptor left for it
  for (int number = lowest; number < limit; ++number) {
    if (int error = add_close_if_inherited(actions, number); error != 0) return error;
  }
  return 0;
}

}  // namespace uvreap::c_library
