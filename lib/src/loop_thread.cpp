#include "loop_thread.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace uvreap {

void loop_thread::bind() noexcept {
  if (number_ != 0 && pthread_equal(thread_, pthread_self()) != 0) return;
  thread_ = pthread_self();
  number_ = static_cast<pid_t>(::syscall(SYS_gettid));
}

bool loop_thread::is_here() noexcept {
  if (number_ != 0 && pthread_equal(thread_, pthread_self()) != 0) return true;
  bool it_lives = number_ != 0 && (::syscall(SYS_tgkill, ::getpid(), number_, 0) == 0 || errno != ESRCH);
  if (it_lives) return false;
  bind();
  return true;
}

}  // namespace uvreap
