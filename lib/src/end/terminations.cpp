#include "end/terminations.hpp"

#include <signal.h>
#include <uv.h>

#include <algorithm>
#include <new>
#include <utility>

#include "os/syscalls.hpp"

namespace uvreap {
namespace {

// How often a group whose leader has ended is asked whether it is empty: no event tells the end of a
// grandchild.
constexpr std::uint64_t between_questions_ms = 20;

// A kernel before 6.9 does not know the flag.
bool is_group_refused(int error) noexcept { return error == UV_EINVAL || is_refused(error); }

}  // namespace

// ---- one termination

int termination::begin() noexcept {
  if (!is_ours(leader_.look())) return UV_ESRCH;
  is_group_ = sys::getpgid(leader_.pid) == leader_.pid;
  by_number_ = is_group_ && leader_.pidfd() < 0;
  may_be_promoted_ = by_number_;
  int error = send(SIGTERM);
  if (is_group_ && !by_number_ && is_group_refused(error)) {
    by_number_ = true;
    error = send(SIGTERM);
  }
  if (error == 0) (void)send(SIGCONT);
  return error;
}

int termination::send(int signum) noexcept {
  if (!is_group_) return leader_.signal(signum);
  if (!by_number_) return sys::from_errno(sys::pidfd_signal_group(leader_.pidfd(), signum));
  if (!is_ours(leader_.look())) return UV_ESRCH;
  return sys::from_errno(sys::kill(-leader_.pid, signum));
}

bool termination::has_nobody_left() noexcept {
  if (!leader_ended_) return false;
  if (!is_group_) return true;
  return by_number_ ? !is_ours(leader_.look()) : send(0) == UV_ESRCH;
}

// ---- all of them

void terminations::close(bool in_copy) noexcept {
  while (!empty()) {
    auto& one = static_cast<termination&>(first());
    if (!in_copy) {
      drop(one);
    } else {
      auto gone = std::move(one.self_);
      gone->cancel();
    }
  }
}

int terminations::begin(child& one, std::uint64_t grace_ms) noexcept try {
  if (one.ending != nullptr && !one.ending->is_over()) return UV_EALREADY;
  auto fresh = std::make_shared<termination>();
  fresh->leader_ = one.id.without_pidfd();
  fresh->claim_ = one.claim;
  if (fresh->leader_.reopen() == UV_ESRCH) return UV_ESRCH;
  (void)fresh->leader_.keep(claims_, claims::most_held());
  fresh->kill_at_ms_ = alarm::in(grace_ms);
  if (int error = fresh->begin(); error != 0) {
    fresh->leader_.let_go(claims_);
    return error;
  }
  fresh->self_ = fresh;
  one.ending = std::move(fresh);
  if (one.ending->keeps_zombie()) ++keeping_;
  wait_on(*one.ending);
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

void terminations::shorten(child& one, std::uint64_t grace_ms) noexcept {
  one.ending->kill_at_ms_ = std::min(one.ending->kill_at_ms_, alarm::in(grace_ms));
  wait_on(*one.ending);
}

void terminations::wait_on(termination& one) noexcept {
  bool asks = one.leader_ended_ && (!one.by_number_ || one.may_be_promoted_);
  set(one, asks ? std::min(one.kill_at_ms_, alarm::now_ms() + between_questions_ms) : one.kill_at_ms_);
}

void terminations::work() noexcept {
  auto& one = static_cast<termination&>(first());
  if (alarm::now_ms() >= one.kill_at_ms_) {
    (void)one.send(SIGKILL);
    // A leader may leave its group, and is the child that was meant nevertheless.
    if (one.is_group_ && !one.leader_ended_) (void)one.leader_.signal(SIGKILL);
    return drop(one);
  }
  if (one.may_be_promoted_ && one.leader_ended_) promote(one);
  if (one.has_nobody_left()) return drop(one);
  wait_on(one);
}

// A descriptor is free by now: the leader's zombie need not be kept, and that the group is empty can be seen.
void terminations::promote(termination& one) noexcept {
  if (one.leader_.reopen() != 0 || !one.leader_.keep(claims_, claims::most_held())) return;
  one.may_be_promoted_ = false;
  if (is_group_refused(sys::from_errno(sys::pidfd_signal_group(one.leader_.pidfd(), 0)))) return;
  reap_kept_zombie(one);
  if (one.keeps_zombie()) --keeping_;
  one.by_number_ = false;
}

void terminations::reap_kept_zombie(termination& one) noexcept {
  int word = 0;
  ::rusage usage{};
  if (one.leader_.look() == child_state::ended) {
    (void)sys::wait4(one.leader_.pid, &word, WNOHANG | __WALL, &usage);  // delivered long ago
  }
  claims_.drop(one.leader_.pid, one.claim_);
}

void terminations::drop(termination& one) noexcept {
  auto held = std::move(one.self_);
  one.cancel();
  if (one.by_number_ && one.is_group_ && one.leader_ended_) reap_kept_zombie(one);
  one.leader_.let_go(claims_);
  if (one.keeps_zombie()) --keeping_;
  one.is_over_ = true;
}

void terminations::cancel(child& one) noexcept {
  if (one.ending != nullptr && !one.ending->is_over()) drop(*one.ending);
  one.ending.reset();
}

void terminations::collected(child& one) noexcept {
  auto its = std::move(one.ending);
  if (its == nullptr || its->is_over()) return;
  its->leader_ended_ = true;
  if (its->has_nobody_left()) return drop(*its);
  wait_on(*its);
}

}  // namespace uvreap
