#include "reaper/inbox.hpp"

#include <utility>

namespace uvreap {

int inbox::open(uv_loop_t& loop, std::function<void()> posted,
                const std::shared_ptr<close_barrier>& barrier) noexcept {
  std::lock_guard held(lock_);
  posted_ = std::move(posted);
  return wakeup_.open<&inbox::on_posted>(loop, this, barrier);
}

void inbox::close(bool in_copy) noexcept {
  if (in_copy) return wakeup_.close_in_copy();
  {
    std::lock_guard held(lock_);
    wakeup_.close();
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
  if (!wakeup_) return;  // and `one` is destroyed when the lock is free: a parameter outlives the locals
  waiting_.push_back(*one.release());
  wakeup_.send();  // under the lock: the handle must not be closed meanwhile
}

void inbox::on_posted() noexcept {
  {
    std::lock_guard held(lock_);
    waiting_.move_to_end_of(arrived_);
  }
  posted_();
}

}  // namespace uvreap
