#include "reaper/inbox.hpp"

#include <utility>

namespace uvreap {

int hand_overs::open(uv_loop_t& loop, void* data, uv_async_cb posted,
                     std::shared_ptr<void> farewell) noexcept {
  std::lock_guard held(lock_);
  return wake_.open([&](uv_async_t* handle) { return uv_async_init(&loop, handle, posted); }, data,
                    std::move(farewell));
}

void hand_overs::close() noexcept {
  std::list<hand_over> dropped;  // destroyed after the lock is free: captures are somebody else's code
  std::lock_guard held(lock_);
  dropped.swap(waiting_);
  wake_.close();
}

void hand_overs::leave_to_the_loop() noexcept { wake_.leave_to_the_loop(); }

void hand_overs::post(pid_t pid, callback told) {
  std::lock_guard held(lock_);
  if (!wake_) return;
  waiting_.push_back({pid, std::move(told)});
  uv_async_send(wake_.get());  // under the lock: the handle must not be closed meanwhile
}

std::list<hand_over> hand_overs::take(int limit) noexcept {
  std::list<hand_over> taken;
  std::lock_guard held(lock_);
  for (; limit > 0 && !waiting_.empty(); --limit) taken.splice(taken.end(), waiting_, waiting_.begin());
  if (!waiting_.empty()) uv_async_send(wake_.get());
  return taken;
}

}  // namespace uvreap
