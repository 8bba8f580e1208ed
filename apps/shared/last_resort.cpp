#include "last_resort.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace last_resort {
namespace {

static_assert(std::atomic<pid_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

// Made once and never freed: a handler finds them until the process is gone.
std::vector<std::atomic<pid_t>>* groups = nullptr;

std::atomic<bool> is_starting = false;
std::atomic<int> put_off = 0;  // a signal from outside that came meanwhile

void kill_all() {
  for (const std::atomic<pid_t>& group : *groups) {
    if (pid_t leader = group.load(); leader > 1) ::kill(-leader, SIGKILL);
  }
}

void on_fault(int signum, siginfo_t* info, void*) {
  bool is_from_outside = info->si_code <= 0 && info->si_pid != ::getpid();
  if (is_from_outside) put_off = signum;  // first: it may be another thread that is starting a job
  if (is_from_outside && is_starting) return;
  kill_all();
  ::raise(signum);  // SA_RESETHAND: by its default, when the handler has returned
}

}  // namespace

void start(std::size_t most_jobs) {
  groups = new std::vector<std::atomic<pid_t>>(most_jobs);
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_SIGINFO);
  for (int signum : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
    ::sigaction(signum, &action, nullptr);
  }
}

void add(pid_t group) {
  auto free = std::find(groups->begin(), groups->end(), 0);
  if (free != groups->end()) *free = group;
}

void starting() { is_starting = true; }

void started() {
  is_starting = false;
  if (put_off == 0) return;
  kill_all();
  ::raise(put_off);
}

void remove(pid_t group) {
  auto found = std::find(groups->begin(), groups->end(), group);
  if (found != groups->end()) *found = 0;
}

}  // namespace last_resort
