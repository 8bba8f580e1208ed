// The best index that works, over the one that always does.
//
// A child goes to the top rung if that can have it, else to peek. Each step down is counted, none is an
// error: with EMFILE, ENFILE and ENOMEM the next child tries again, with ENOSYS, EPERM, EACCES and EINVAL
// (seccomp profiles, old kernels) nobody does. At each tick of the poller some children climb back, to a top
// rung that could not be had at start, too.
#pragma once

#include <memory>

#include "backends/backend.hpp"
#include "backends/peek.hpp"

namespace uvreap {

// 0, or why the kind (automatic: the best one) is not there; automatic may find a lower rung then.
[[nodiscard]] int make_top_rung(backend_kind, std::unique_ptr<exit_index>& out) noexcept;

// What may be different in a moment; everything else about a rung that cannot be had is for good.
[[nodiscard]] bool passing(int error) noexcept;

class exit_index_ladder final : public exit_index {
 public:
  // top: null if none could be had, and then why.
  exit_index_ladder(std::unique_ptr<exit_index> top, int why_not) noexcept
      : top_(std::move(top)), stepped_down_(why_not) {}

  [[nodiscard]] bool make_room() noexcept override;
  int arm(pid_t) noexcept override;
  void disarm(pid_t) noexcept override;
  void give_up(pid_t) noexcept override;
  void doubt(pid_t) noexcept override;
  void hear(notice) noexcept override;
  [[nodiscard]] std::size_t take(std::span<candidate>) noexcept override;
  [[nodiscard]] bool has_more() const noexcept override;
  [[nodiscard]] int descriptor() const noexcept override { return top_ ? top_->descriptor() : -1; }
  void try_again(const std::function<int(int)>& poll) noexcept override;
  void leave_descriptor() noexcept override {
    if (top_) top_->leave_descriptor();
  }
  [[nodiscard]] bool recover(pid_t pid, int& word) noexcept override {
    return top_ && top_->recover(pid, word);
  }
  void describe(statistics&) const noexcept override;

 private:
  [[nodiscard]] int arm_on_top(pid_t) noexcept;
  void climb() noexcept;

  std::unique_ptr<exit_index> top_;
  exit_index_peek peek_;
  int stepped_down_;
  bool refused_ = false;
  pid_t climbed_to_ = 0;  // where the last climb stopped
};

}  // namespace uvreap
