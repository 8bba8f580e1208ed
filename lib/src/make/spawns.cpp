#include "make/spawns.hpp"

#include <utility>

namespace uvreap {

int spawns::open(uv_loop_t& loop, std::function<void()> come_back,
                 const std::shared_ptr<close_barrier>& barrier) noexcept {
  come_back_ = std::move(come_back);
  auto init_timer = [&](uv_timer_t* handle) { return uv_timer_init(&loop, handle); };
  if (int error = until_ended_.open(init_timer, this, barrier); error != 0) return error;
  is_open_ = true;
  return wakeup_.open<&spawns::on_given_back>(loop, this, barrier);
}

int spawns::ask(std::unique_ptr<order>& one, std::unique_ptr<asked>& from) noexcept {
  one->by = from.get();
  if (int error = by_.add(one); error != 0) return error;
  asked_.push_back(*from.release());
  ++size_;
  return 0;
}

void spawns::give_back(std::unique_ptr<order> one) noexcept {
  if (!is_open_) return;  // and it goes: cancelled, with nothing of the loop's in it
  given_back_.push_back(*one.release());
  wakeup_.send();
}

void spawns::on_given_back() noexcept {
  {
    std::lock_guard held(by_.lock());
    given_back_.move_to_end_of(arrived_);
  }
  come_back_();
}

spawns::outcome spawns::take() noexcept {
  std::unique_ptr<order> one(arrived_.pop_front());
  one->by->unlink();  // its callback may cancel others, which are looked for among what was asked
  --size_;
  if (one->ready.stdio.has_ours()) {
    std::lock_guard held(by_.lock());
    one->ready.stdio.hand_over();
    one->ready.stdio.unlink();
  }
  return {.from = std::unique_ptr<asked>(one->by),
          .error = one->error,
          .made = std::move(one->made),
          .pidfd_error = one->pidfd_error};
}

std::unique_ptr<asked> spawns::cancel(std::uint64_t serial) noexcept {
  asked* wanted = nullptr;
  queue<asked, asked_tag> looked_at;
  while (asked* one = asked_.pop_front()) {
    if (one->record->serial == serial) wanted = one;
    looked_at.push_back(*one);
  }
  looked_at.move_to_end_of(asked_);
  std::lock_guard held(by_.lock());
  if (wanted == nullptr || by_.withdraw(*wanted) == nullptr) return nullptr;
  --size_;
  return std::unique_ptr<asked>(wanted);
}

std::unique_ptr<asked> spawns::close() noexcept {
  std::unique_ptr<asked> begun;
  {
    std::lock_guard held(by_.lock());
    is_open_ = false;
    given_back_.move_to_end_of(arrived_);
    by_.withdraw_all(*this, arrived_);
    if (order* one = by_.being_made(*this)) {
      one->is_cancelled = true;
      begun.reset(one->by);
      begun->unlink();
      --size_;
    }
  }
  wakeup_.close();
  if (begun != nullptr && until_ended_) {
    uv_ref(reinterpret_cast<uv_handle_t*>(until_ended_.get()));
    uv_timer_start(until_ended_.get(), call_owner<&spawns::on_tick, uv_timer_t>, 1, 1);
    self_ = shared_from_this();  // for good where the program closes the timer itself: it tells nobody
  } else {
    until_ended_.close();
  }
  return begun;
}

void spawns::on_tick() noexcept {
  {
    std::lock_guard held(by_.lock());
    if (by_.being_made(*this) != nullptr) return;
  }
  until_ended_.close();
  auto last = std::move(self_);
}

void spawns::abandon() noexcept {
  wakeup_.close_in_copy();
  until_ended_.close();
  while (asked* one = asked_.pop_front()) delete one;
  self_ = shared_from_this();
}

}  // namespace uvreap
