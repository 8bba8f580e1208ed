#include "os/loop_thread.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace uvreap {

void loop_thread::bind() noexcept {
  if (number_ != 0 && pthread_equal(thread_, pthread_self()) != 0) return;
  thread_ = pthread_self();
  number_ = static_cast<pid_t>(::syscall(SYS_gettid));
  is_main_ = number_ == ::getpid();
}

bool loop_thread::is_here() noexcept {
  if (number_ != 0 && pthread_equal(thread_, pthread_self()) != 0) return true;
  // pthread_join returns a moment before the kernel lets go of the thread: ask again for up to 10 ms or so.
  // Only a caller that is about to be asserted away waits here.
  for (int tries = 100; number_ != 0; --tries) {
    if (::syscall(SYS_tgkill, ::getpid(), number_, 0) != 0 && errno == ESRCH) break;
    if (tries == 0) return false;
    ::usleep(100);
  }
  bind();
  return true;
}

}  // namespace uvreap
