#include "child/pid_round.hpp"

#include <new>
#include <utility>

namespace uvreap {

bool pid_round::make_room() noexcept try {
  if (spare_) return true;
  std::set<pid_t> maker{0};
  spare_ = maker.extract(maker.begin());
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void pid_round::add(pid_t pid) noexcept {
  if (pids_.contains(pid)) return;
  spare_.value() = pid;
  pids_.insert(std::move(spare_));
}

pid_t pid_round::first_above(pid_t pid) const noexcept {
  auto found = pids_.upper_bound(pid);
  return found == pids_.end() ? 0 : *found;
}

void pid_round::ask(notice why) noexcept {
  if (pids_.empty() || again_) return;
  again_ = true;
  why_again_ = why;
}

std::size_t pid_round::take(std::span<pid_t> out) noexcept {
  if (!going_) {
    if (!again_) return 0;
    again_ = false;
    going_ = true;
    cursor_ = 0;
    why_ = why_again_;
  }
  std::size_t count = 0;
  for (auto next = pids_.upper_bound(cursor_); next != pids_.end() && count < out.size(); ++next) {
    out[count++] = cursor_ = *next;
  }
  if (count < out.size()) going_ = false;
  return count;
}

}  // namespace uvreap
