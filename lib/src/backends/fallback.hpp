// The best backend that works, over the one that always does.
//
// The best that automatic finds is a set of pidfds for the youngest children before a ring for all others
// (pidfd.cpp).
//
// A child goes to the best backend if that can have it, else to peek. Each fallback is counted, none is an
// error. What pidfd_open says of one number (EINVAL or ENOENT for a thread's, ESRCH) concerns that number
// alone; with EMFILE, ENFILE and ENOMEM the next child tries again; the backend is switched off for good only
// by its trial at start and by ENOSYS, EPERM and EACCES (seccomp profiles). At each tick of the poller some
// children are promoted again, to a backend that was not available at start, too.
#pragma once

#include <functional>
#include <memory>

#include "backends/backend.hpp"
#include "backends/peek.hpp"

namespace uvreap {

class fallback {
 public:
  fallback(const children& living, claims& all) noexcept : living_(living), claims_(all), peek_(living) {}

  // 0; UV_ENOTSUP: that kind is not available here; UV_EMFILE, UV_ENFILE, UV_ENOMEM: not now.
  [[nodiscard]] int open(backend_kind) noexcept;

  void arm(child&, int pidfd_error) noexcept;  // pidfd_error: why its pidfd is not open, or 0
  void settle(child&) noexcept;                // armed and looked at: its pidfd is kept for later, or closed
  void disarm(child&) noexcept;                // its status is taken
  void cancel(child&) noexcept;                // it lives, and is no longer ours
  void suspect(child&) noexcept;               // it was named, and there is no status to collect yet

  [[nodiscard]] bool wake(notice) noexcept;                                // true: there may be names to take
  [[nodiscard]] bool take_named(look_queue&, std::size_t limit) noexcept;  // true: there may be more
  [[nodiscard]] bool has_round() const noexcept { return peek_.has_round(); }
  void take_round(look_queue& out, std::size_t limit) noexcept { peek_.take_round(out, limit); }

  // A tick of the poller: what was not available at start for want of descriptors may be by now. poll is
  // given the descriptor that is new then; where it fails, all stays as it was.
  void try_again(const std::function<int(int descriptor)>& poll) noexcept;

  [[nodiscard]] int polled() const noexcept { return best_ ? best_->polled() : -1; }
  void leave_polled_open() noexcept {
    if (best_) best_->leave_polled_open();
  }
  [[nodiscard]] std::size_t unnamed() const noexcept { return peek_.size(); }
  void describe(statistics&) const noexcept;

 private:
  [[nodiscard]] int make_best(backend_kind) noexcept;
  [[nodiscard]] int arm_on_best(child&, int pidfd_error) noexcept;
  void promote() noexcept;
  void identify() noexcept;  // without a best: what found no descriptor is to be known by its birth

  const children& living_;
  claims& claims_;
  std::unique_ptr<backend> best_;
  peek peek_;
  int degraded_ = 0;
  bool refused_ = false;
  std::size_t to_be_identified_ = 0;  // so many on peek are gone through for them
};

}  // namespace uvreap
