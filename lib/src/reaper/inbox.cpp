#include "reaper/inbox.hpp"

#include <utility>

namespace uvreap {

int inbox::open(uv_loop_t& loop, std::function<void()> posted,
                const std::shared_ptr<close_barrier>& barrier) noexcept {
  std::lock_guard held(lock_);
  posted_ = std::move(posted);
  auto init = [&](uv_async_t* handle) {
    return uv_async_init(&loop, handle, call_owner<&inbox::on_posted, uv_async_t>);
  };
  return async_.open(init, this, barrier);
}

void inbox::close(bool in_copy) noexcept {
  if (in_copy) return async_.close();
  {
    std::lock_guard held(lock_);
    async_.close();
  }
  drop();
}

void inbox::drop() noexcept {
  {
    std::lock_guard held(lock_);
    waiting_.move_to_end_of(arrived_);
  }
  while (take() != nullptr) {  // destroyed after the lock is free: captures are foreign code
  }
}

void inbox::post(std::unique_ptr<child> one) noexcept {
  std::lock_guard held(lock_);
  if (!async_) return;  // and `one` is destroyed when the lock is free: a parameter outlives the locals
  waiting_.push_back(*one.release());
  uv_async_send(async_.get());  // under the lock: the handle must not be closed meanwhile
}

void inbox::on_posted() noexcept {
  {
    std::lock_guard held(lock_);
    waiting_.move_to_end_of(arrived_);
  }
  posted_();
}

}  // namespace uvreap
