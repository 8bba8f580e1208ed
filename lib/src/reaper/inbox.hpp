// Pids on their way from other threads to the loop's. The one place of a reaper that threads share.
#pragma once

#include <sys/types.h>

#include <list>
#include <memory>
#include <mutex>

#include "os/uv_handle.hpp"
#include "uvreap/reaper.hpp"

namespace uvreap {

struct hand_over {
  pid_t pid;
  callback told;
};

class hand_overs {
 public:
  [[nodiscard]] int open(uv_loop_t&, void* data, uv_async_cb posted, std::shared_ptr<void> farewell) noexcept;
  void close() noexcept;              // what waits is dropped
  void leave_to_the_loop() noexcept;  // in a forked copy, where the lock may be another thread's for ever
  void close_in_copy() noexcept { wake_.close(); }

  void post(pid_t, callback);  // any thread; may throw std::bad_alloc; dropped while closed

  // The oldest, at most so many; if more wait, the loop is woken for them again.
  [[nodiscard]] std::list<hand_over> take(int limit) noexcept;

 private:
  std::mutex lock_;               // held for a push or a swap, never during a call of anybody's code
  std::list<hand_over> waiting_;  // not a deque: that allocates when it is made
  uv_handle<uv_async_t> wake_;
};

}  // namespace uvreap
