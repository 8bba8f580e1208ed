#include "wake/poller.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace uvreap {

using std::chrono::milliseconds;

idle_poller::idle_poller(milliseconds longest_rest) noexcept
    : longest_(longest_rest),
      shortest_(std::min(longest_, std::max(longest_ / 16, milliseconds(10)))),
      rest_(longest_) {}

int idle_poller::open(uv_loop_t& loop, void* data, uv_timer_cb tick,
                      std::shared_ptr<void> farewell) noexcept {
  tick_ = tick;
  return timer_.open([&](uv_timer_t* handle) { return uv_timer_init(&loop, handle); }, data,
                     std::move(farewell));
}

void idle_poller::stand_by(bool something_to_do, bool hold_the_loop) noexcept {
  auto* handle = reinterpret_cast<uv_handle_t*>(timer_.get());
  bool active = uv_is_active(handle) != 0;
  if (something_to_do && !active) {
    rest_ = longest_;
    found_since_tick_ = false;
    rest();
  }
  if (!something_to_do && active) uv_timer_stop(timer_.get());
  hold_the_loop ? uv_ref(handle) : uv_unref(handle);
}

void idle_poller::ticked() noexcept {
  if (!found_since_tick_) rest_ = std::min(rest_ * 2, longest_);
  found_since_tick_ = false;
  rest();
}

void idle_poller::looked(bool found) noexcept {
  if (!found || found_since_tick_) return;
  found_since_tick_ = true;
  rest_ = std::max(rest_ / 2, shortest_);
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(timer_.get())) != 0) rest();
}

void idle_poller::rest() noexcept {
  // A poller that never ticks still holds the loop, which only an active timer can.
  std::uint64_t never = std::numeric_limits<std::uint64_t>::max() / 2;
  uv_timer_start(timer_.get(), tick_,
                 longest_.count() == 0 ? never : static_cast<std::uint64_t>(rest_.count()), 0);
}

}  // namespace uvreap
