#include "thread_pool.hpp"

#include <signal.h>

#include <cstddef>
#include <cstdlib>
#include <vector>

namespace {

// As libuv counts them: UV_THREADPOOL_SIZE, or 4; 1 to 1024.
std::size_t threads_in_pool() {
  const char* asked = std::getenv("UV_THREADPOOL_SIZE");
  int size = asked != nullptr ? std::atoi(asked) : 4;
  if (size <= 0) return 1;
  return size > 1024 ? 1024 : static_cast<std::size_t>(size);
}

// uv_thread_create says what the pool does not: that there is none to be had.
int try_to_make(std::size_t count) {
  uv_sem_t done;
  if (int error = uv_sem_init(&done, 0); error != 0) return error;
  std::vector<uv_thread_t> threads;
  int error = 0;
  while (error == 0 && threads.size() < count) {
    uv_thread_t one;
    error = uv_thread_create(
        &one, [](void* gate) { uv_sem_wait(static_cast<uv_sem_t*>(gate)); }, &done);
    if (error == 0) threads.push_back(one);
  }
  for (std::size_t i = 0; i < threads.size(); ++i) uv_sem_post(&done);
  for (uv_thread_t& one : threads) uv_thread_join(&one);
  uv_sem_destroy(&done);
  return error;
}

// But those of a fault in the thread itself.
sigset_t block_signals() {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT}) ::sigdelset(&all, fault);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  return before;
}

}  // namespace

int start_thread_pool(uv_loop_t& loop) {
  if (int error = try_to_make(threads_in_pool()); error != 0) return error;
  static uv_work_t nothing;
  sigset_t before = block_signals();  // the threads inherit it
  int error = uv_queue_work(
      &loop, &nothing, [](uv_work_t*) {}, nullptr);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}
