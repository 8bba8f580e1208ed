#include "syscall_counter.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>

namespace bench {
namespace {

constexpr int at_system_call = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD

void resume(pid_t who, int signum) { ::ptrace(PTRACE_SYSCALL, who, nullptr, signum); }

// Zero for what is no signal of the tracee's own: the stop that seizing it asked for.
int signal_of(int status) { return status >> 16 != 0 ? 0 : WSTOPSIG(status); }

// Each call stops its thread twice, and the first stop that we see may be its end.
bool begins(pid_t who) {
  __ptrace_syscall_info about{};
  ::ptrace(PTRACE_GET_SYSCALL_INFO, who, sizeof(about), &about);
  return about.op == PTRACE_SYSCALL_INFO_ENTRY;
}

}  // namespace

syscall_counter::syscall_counter() {
  void* shared = ::mmap(nullptr, sizeof(state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) throw std::bad_alloc();
  state_ = new (shared) state{};
  pid_t self = ::gettid();
  pid_t tracer = ::fork();
  if (tracer == 0) trace(self, *state_);
  if (tracer < 0) state_->attached = -1;
  // Where Yama is strict a child may trace its parent only if that allows it.
  else
    ::prctl(PR_SET_PTRACER, tracer);
  while (state_->attached == 0) ::usleep(1000);
}

syscall_counter::~syscall_counter() {
  if (!counts()) return;
  state_->done = 1;
  // Any call: the tracer lets go at the next stop. It is reaped with the cell's other children.
  while (state_->done == 1) ::usleep(1000);
}

void syscall_counter::trace(pid_t who, state& shared) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Each stop of the tracee is a SIGCHLD for us, and the handler that we inherited writes to the pipe of its
  // loop.
  ::signal(SIGCHLD, SIG_DFL);
  for (int tries = 0; ::ptrace(PTRACE_SEIZE, who, nullptr, PTRACE_O_TRACESYSGOOD) != 0; ++tries) {
    if (tries > 20) {
      shared.attached = -1;
      ::_exit(1);
    }
    ::usleep(1000);
  }
  ::ptrace(PTRACE_INTERRUPT, who, nullptr, nullptr);
  for (int status = 0; ::waitpid(who, &status, __WALL) == who && WIFSTOPPED(status);) {
    if (shared.done == 1) {
      ::ptrace(PTRACE_DETACH, who, nullptr, signal_of(status) == at_system_call ? 0 : signal_of(status));
      shared.done = 2;
      ::_exit(0);
    }
    if (WSTOPSIG(status) == at_system_call) {
      if (begins(who)) ++shared.calls;
      resume(who, 0);
      continue;
    }
    resume(who, signal_of(status));
    shared.attached = 1;
  }
  ::_exit(0);
}

}  // namespace bench
