// The thread that a reaper's loop belongs to. libuv does not say, so it is learnt: the thread of start(),
// then whichever thread our loop callbacks run on, since a loop may be run elsewhere later.
#pragma once

#include <pthread.h>
#include <sys/types.h>

namespace uvreap {

class loop_thread {
 public:
  void bind() noexcept;  // this thread, from now on

  [[nodiscard]] bool is_main() const noexcept { return is_main_; }  // of its process

  // Is the caller on it? True also when the bound thread has ended: then the caller is its heir.
  [[nodiscard]] bool is_here() noexcept;

 private:
  pthread_t thread_{};
  pid_t number_ = 0;  // 0: not bound yet
  bool is_main_ = false;
};

}  // namespace uvreap
