#include "last_resort.hpp"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace last_resort {
namespace {

static_assert(std::atomic<pid_t>::is_always_lock_free);

// Made once and never freed: a handler finds them until the process is gone.
std::vector<std::atomic<pid_t>>* groups = nullptr;

void kill_all(int signum) {
  for (const std::atomic<pid_t>& group : *groups) {
    if (pid_t leader = group.load(); leader > 1) ::kill(-leader, SIGKILL);
  }
  ::raise(signum);  // SA_RESETHAND: by its default, when the handler has returned
}

}  // namespace

void start(std::size_t most_jobs) {
  groups = new std::vector<std::atomic<pid_t>>(most_jobs);
  struct sigaction action {};
  action.sa_handler = kill_all;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (int signum : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
    ::sigaction(signum, &action, nullptr);
  }
}

void add(pid_t group) {
  auto free = std::find(groups->begin(), groups->end(), 0);
  if (free != groups->end()) *free = group;
}

void remove(pid_t group) {
  auto found = std::find(groups->begin(), groups->end(), group);
  if (found != groups->end()) *found = 0;
}

}  // namespace last_resort
