// A thread beside the loop that takes no signal from it.
#pragma once

#include <signal.h>

#include <thread>
#include <utility>

namespace bench {

template <class Work>
std::jthread quiet_thread(Work work) {
  // The kernel hands a process's signal to any thread that has it unblocked: SIGCHLD is for the engine.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  std::jthread started(std::move(work));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace bench
