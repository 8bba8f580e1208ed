#include "backends/fallback.hpp"

#include <uv.h>

#include <algorithm>

#include "os/claims.hpp"

namespace uvreap {
namespace {

constexpr std::size_t promoted_a_tick = 64;

bool is_transient(int error) noexcept {
  return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM;
}
bool is_permanent(int error) noexcept {
  return error == UV_ENOSYS || error == UV_EPERM || error == UV_EACCES;
}
bool is_of_the_number(int error) noexcept {
  return error == UV_ESRCH || error == UV_EINVAL || error == UV_ENOENT;
}

}  // namespace

int fallback::make_best(backend_kind kind) noexcept {
  if (kind == backend_kind::ring) return make_ring(living_, best_);
  if (kind == backend_kind::pidfd) return make_pidfd(living_, claims_, best_);
  if (kind == backend_kind::peek) return 0;
  int why_no_ring = make_ring(living_, best_);
  int why_no_pidfd = make_pidfd(living_, claims_, best_);
  return why_no_pidfd == 0 || why_no_ring == 0 ? why_no_ring : why_no_pidfd;
}

int fallback::open(backend_kind kind) noexcept {
  degraded_ = make_best(kind);
  if (kind == backend_kind::automatic || degraded_ == 0) return 0;
  return is_transient(degraded_) ? degraded_ : UV_ENOTSUP;
}

int fallback::arm_on_best(child& one, int pidfd_error) noexcept {
  if (refused_) return degraded_;
  int error = pidfd_error != 0 ? pidfd_error : best_->arm(one);
  if (error == 0 || (pidfd_error != 0 && is_of_the_number(error))) return error;
  degraded_ = error;
  refused_ = is_permanent(error);
  return error;
}

void fallback::arm(child& one, int pidfd_error) noexcept {
  if (!best_ || arm_on_best(one, pidfd_error) != 0) peek_.add(one);
  if (is_transient(pidfd_error)) to_be_identified_ = peek_.size();
}

void fallback::settle(child& one) noexcept {
  if (one.on != slot::pidfd) (void)one.id.keep(claims_, claims::most_held_beside_a_backend());
}

void fallback::disarm(child& one) noexcept {
  if (best_) best_->disarm(one);
  peek_.remove(one);
}

void fallback::cancel(child& one) noexcept {
  if (best_) best_->cancel(one);
  peek_.remove(one);
}

void fallback::suspect(child& one) noexcept {
  // Off the backend that would name it at once for ever (tokio #7144, GLib #3071), to where the poller asks
  // now and then, and SIGCHLD when the tracer lets go.
  if (best_) best_->disarm(one);
  if (one.on == slot::none) peek_.add(one);
}

void fallback::try_again(const std::function<int(int)>& poll) noexcept {
  if (best_ || !is_transient(degraded_)) return;
  int why_not = make_best(backend_kind::automatic);
  if (!best_) {
    degraded_ = why_not;
  } else if (poll(best_->polled()) != 0) {
    best_.reset();
  }
}

bool fallback::wake(notice who) noexcept {
  if (who == notice::backend) {
    if (best_) best_->is_woken = true;
    return true;
  }
  bool by_best = best_ && best_->wake_by_other();
  if (who == notice::poller) promote();
  return peek_.wake(who) || by_best;
}

bool fallback::take_named(look_queue& out, std::size_t limit) noexcept {
  bool has_more = best_ && best_->take(out, limit);
  if (!peek_.may_have_first) return has_more;
  if (out.empty()) peek_.take_first(out);
  return peek_.may_have_first || has_more;
}

void fallback::promote() noexcept {
  if (!best_ || refused_) return identify();
  for (std::size_t left = std::min(peek_.size(), promoted_a_tick); left != 0; --left) {
    child& one = peek_.turn();
    int pidfd_error = one.id.is_held() ? 0 : one.id.reopen();
    peek_.remove(one);
    if (pidfd_error == UV_ESRCH || arm_on_best(one, pidfd_error) != 0) peek_.add(one);
    settle(one);
    if (one.on == slot::peek && pidfd_error != UV_ESRCH) return;
  }
}

void fallback::identify() noexcept {
  for (std::size_t left = std::min({peek_.size(), promoted_a_tick, to_be_identified_}); left != 0; --left) {
    child& one = peek_.turn();
    int pidfd_error = one.id.is_held() ? 0 : one.id.reopen();
    settle(one);
    if (pidfd_error != 0 && pidfd_error != UV_ESRCH) {
      to_be_identified_ = is_transient(pidfd_error) ? peek_.size() : 0;  // it is the last now
      return;
    }
    --to_be_identified_;
  }
}

void fallback::describe(statistics& stats) const noexcept {
  stats.backend = backend_kind::peek;
  stats.on_peek = peek_.size();
  stats.degraded = degraded_;
  if (best_) best_->describe(stats);
  stats.on_backend = stats.on_ring + stats.on_pidfd;
}

}  // namespace uvreap
