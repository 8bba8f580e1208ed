#include "wake/poller.hpp"

#include <algorithm>
#include <utility>

namespace uvreap {

using std::chrono::milliseconds;

namespace {

constexpr int times_longer_at_rest = 64;

milliseconds rest_of_the_idle(milliseconds longest) noexcept {
  bool would_overflow = longest > milliseconds::max() / times_longer_at_rest;
  return would_overflow ? longest : longest * times_longer_at_rest;
}

}  // namespace

poller::poller(milliseconds longest_rest) noexcept
    : longest_(longest_rest),
      longest_at_rest_(rest_of_the_idle(longest_rest)),
      shortest_(std::min(longest_, std::max(longest_ / 16, milliseconds(10)))),
      rest_(longest_) {}

int poller::open(uv_loop_t& loop, std::function<void()> tick,
                 const std::shared_ptr<close_barrier>& barrier) noexcept {
  return alarm_.open(loop, std::move(tick), barrier);
}

void poller::stand_by(bool something_to_do, bool hold_the_loop) noexcept {
  if (something_to_do != stands_by_) {
    stands_by_ = something_to_do;
    rest_ = longest_;
    found_since_tick_ = false;
    if (stands_by_) {
      rest();
    } else {
      alarm_.set(alarm::never);
    }
  }
  alarm_.hold_the_loop(hold_the_loop);
}

void poller::ticked(bool others_notice_all) noexcept {
  bool is_at_rest = others_notice_all && !is_stirred;
  milliseconds longest = is_at_rest ? longest_at_rest_ : longest_;
  if (!found_since_tick_) rest_ = rest_ < longest - rest_ ? rest_ * 2 : longest;
  found_since_tick_ = false;
  is_stirred = false;
  rest();
}

void poller::stir() noexcept {
  is_stirred = true;
  if (rest_ <= longest_) return;
  rest_ = longest_;
  if (stands_by_) rest();
}

void poller::looked(bool found) noexcept {
  if (!found || found_since_tick_) return;
  found_since_tick_ = true;
  rest_ = std::max(std::min(rest_, longest_) / 2, shortest_);
  if (stands_by_) rest();
}

void poller::rest() noexcept {
  // One that never ticks still holds the loop, which only an active timer can.
  constexpr std::uint64_t far_away = alarm::never / 2;
  if (longest_.count() == 0) return alarm_.set(far_away);
  alarm_.set_within(static_cast<std::uint64_t>(rest_.count()));
}

}  // namespace uvreap
