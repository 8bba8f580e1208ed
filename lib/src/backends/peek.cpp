#include "backends/peek.hpp"

#include <algorithm>
#include <cerrno>

#include "os/syscalls.hpp"

namespace uvreap {
namespace {

constexpr int most_between_pauses = 1 << 20;  // no pause: the budget cuts long before

}  // namespace

void peek::remove(child& one) noexcept {
  if (one.on != slot::peek) return;
  one.on = slot::none;
  armed_.remove(one);
  if (last_ == &one) last_ = nullptr;
}

bool peek::wake(notice who) noexcept {
  if (who == notice::poller) {
    armed_.ask(notice::poller);
  } else if (armed_.size() != 0) {
    may_have_first = true;
  }
  return may_have_first;
}

void peek::take_first(look_queue& out) noexcept {
  if (named_ == until_pause_) {
    named_ = 0;
    until_pause_ = std::min(until_pause_ * 2, most_between_pauses);
    return;
  }
  if (child* ours = first_zombie()) {
    ++named_;
    return name(*ours, notice::sigchld, out);
  }
  may_have_first = false;
  named_ = 0;
  until_pause_ = 1;
}

child* peek::first_zombie() noexcept {
  siginfo_t first{};
  if (sys::waitid(P_ALL, 0, &first, WEXITED | WNOHANG | WNOWAIT) != 0) {
    // ECHILD: no child at all, or only such as need __WALL; the poller's round finds who is lost. After
    // anything else the answer is not known, and each of ours is asked.
    if (errno != ECHILD) armed_.ask(notice::sigchld);
    return nullptr;
  }
  if (first.si_pid == 0) return nullptr;
  child* ours = living_.find(first.si_pid);
  if (ours == nullptr || ours->on != slot::peek || ours == last_) {
    // Foreign, or one that could not be collected. Never peek at it again before the next notice.
    armed_.ask(notice::sigchld);
    return nullptr;
  }
  last_ = ours;
  return ours;
}

}  // namespace uvreap
