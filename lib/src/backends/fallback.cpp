#include "backends/fallback.hpp"

#include <uv.h>

namespace uvreap {
namespace {

constexpr int climbers_a_tick = 64;

bool for_good(int error) noexcept {
  return error == UV_ENOSYS || error == UV_EPERM || error == UV_EACCES || error == UV_EINVAL;
}

}  // namespace

bool passing(int error) noexcept { return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM; }

int make_top_rung(backend_kind kind, std::unique_ptr<exit_index>& out) noexcept {
  switch (kind) {
    case backend_kind::ring:
      return make_exit_index_ring(out);
    case backend_kind::pidfd:
      return make_exit_index_pidfd(out);
    case backend_kind::peek:
      return 0;
    case backend_kind::automatic:
      break;
  }
  int why_no_ring = make_exit_index_ring(out);
  if (why_no_ring == 0) return 0;
  int why_no_pidfd = make_exit_index_pidfd(out);
  return why_no_pidfd == 0 ? why_no_ring : why_no_pidfd;
}

bool exit_index_ladder::make_room() noexcept { return peek_.make_room() && (!top_ || top_->make_room()); }

int exit_index_ladder::arm_on_top(pid_t pid) noexcept {
  if (refused_) return stepped_down_;
  int error = top_->arm(pid);
  if (error == 0 || error == UV_ESRCH)
    return error;  // ESRCH: there is no such process, which watch() finds out
  stepped_down_ = error;
  refused_ = for_good(error);
  return error;
}

int exit_index_ladder::arm(pid_t pid) noexcept {
  if (!top_ || arm_on_top(pid) != 0) peek_.arm(pid);
  return 0;
}

void exit_index_ladder::disarm(pid_t pid) noexcept {
  if (top_) top_->disarm(pid);
  peek_.disarm(pid);
}

void exit_index_ladder::give_up(pid_t pid) noexcept {
  if (top_) top_->give_up(pid);
  peek_.give_up(pid);
}

void exit_index_ladder::doubt(pid_t pid) noexcept {
  if (!top_) return;
  // Off the rung that would name it at once for ever (tokio #7144, GLib #3071), to where the poller asks now
  // and then, and SIGCHLD when the tracer lets go. Without memory for that the loop turns rather than lose
  // it.
  if (!peek_.make_room()) {
    top_->arm(pid);
    return;
  }
  top_->disarm(pid);
  peek_.arm(pid);
}

void exit_index_ladder::try_again(const std::function<int(int)>& poll) noexcept {
  if (top_ || !passing(stepped_down_)) return;
  std::unique_ptr<exit_index> top;
  int why_not = make_top_rung(backend_kind::automatic, top);
  if (!top) {
    stepped_down_ = why_not;
  } else if (poll(top->descriptor()) == 0) {
    top_ = std::move(top);
  }
}

void exit_index_ladder::hear(notice who) noexcept {
  if (who == notice::backend) {
    if (top_) top_->hear(who);
    return;
  }
  if (who == notice::poller) climb();
  peek_.hear(who);
}

std::size_t exit_index_ladder::take(std::span<candidate> out) noexcept {
  std::size_t count = top_ ? top_->take(out) : 0;
  return count != 0 ? count : peek_.take(out);
}

bool exit_index_ladder::has_more() const noexcept { return (top_ && top_->has_more()) || peek_.has_more(); }

void exit_index_ladder::climb() noexcept {
  if (!top_ || refused_) return;
  for (int tried = 0; tried < climbers_a_tick; ++tried) {
    pid_t pid = peek_.first_above(climbed_to_);
    if (pid == 0) {
      climbed_to_ = 0;  // all have been tried: from the beginning with the next tick
      return;
    }
    if (!top_->make_room() || arm_on_top(pid) != 0) return;
    climbed_to_ = pid;
    peek_.disarm(pid);
  }
}

void exit_index_ladder::describe(statistics& stats) const noexcept {
  peek_.describe(stats);
  if (top_) top_->describe(stats);
  stats.degraded = stepped_down_;
}

}  // namespace uvreap
