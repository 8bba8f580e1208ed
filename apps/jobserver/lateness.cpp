#include "lateness.hpp"

#include <algorithm>
#include <utility>

namespace {

// A hold of the loop is seen in full if it is longer than this, and its end if it is not.
constexpr std::uint64_t period_ms = 20;

}  // namespace

lateness::lateness(uv_loop_t& loop) : due_ns_(uv_hrtime() + period_ms * 1'000'000) {
  uv_timer_init(&loop, &timer_);
  timer_.data = this;
  auto on_time = [](uv_timer_t* timer) { static_cast<lateness*>(timer->data)->on_time(); };
  uv_timer_start(&timer_, on_time, period_ms, period_ms);
  uv_unref(reinterpret_cast<uv_handle_t*>(&timer_));
}

void lateness::close() { uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr); }

std::chrono::nanoseconds lateness::take_worst() { return std::exchange(worst_since_, {}); }

// libuv's clock counts whole milliseconds, and its timers come up to one of them early or late.
void lateness::on_time() {
  std::uint64_t now = uv_hrtime();
  std::chrono::nanoseconds late(now > due_ns_ ? now - due_ns_ : 0);
  worst_ = std::max(worst_, late);
  worst_since_ = std::max(worst_since_, late);
  due_ns_ = now + period_ms * 1'000'000;
}
