// The rung that needs nothing but wait: waitid(P_ALL, WNOWAIT) shows the first zombie without taking it.
//
// On SIGCHLD it peeks, and peeks again as long as it sees one of ours, for the pass has taken that one by
// then. A zombie that is not ours stays first for ever (swift-subprocess #125, systemd #13886), so then our
// own pids are gone through by number, once. An empty peek proves nothing: a stolen exit leaves no zombie,
// and a child of clone() with another exit signal is invisible without __WALL; the idle poller starts a round
// over all, a SIGCHLD alone does not.
//
// The look after the last zombie walks all children to find none. So that this does not stand between a child
// and its callback, a take() that names one is followed by one that says "enough for now"; as long as more
// are found, the number named between two such pauses doubles, and a burst is collected at full speed.
//
// Cost: the kernel walks the children that live before the first zombie (about 25 ns each on the machine of
// the design); a round is one wait4 for each child.
#pragma once

#include "backends/backend.hpp"
#include "child/pid_round.hpp"

namespace uvreap {

class exit_index_peek final : public exit_index {
 public:
  [[nodiscard]] bool make_room() noexcept override { return armed_.make_room(); }
  int arm(pid_t pid) noexcept override {
    armed_.add(pid);
    return 0;
  }
  void disarm(pid_t) noexcept override;
  void hear(notice) noexcept override;
  [[nodiscard]] std::size_t take(std::span<candidate>) noexcept override;
  [[nodiscard]] bool has_more() const noexcept override;
  void describe(statistics&) const noexcept override;

  [[nodiscard]] pid_t first_above(pid_t pid) const noexcept { return armed_.first_above(pid); }  // 0: none

 private:
  [[nodiscard]] pid_t peek() noexcept;  // one of ours, or 0

  pid_round armed_;
  bool peek_due_ = false;
  bool round_is_next_ = false;
  int named_ = 0;  // since the last pause
  int until_pause_ = 1;
  pid_t last_peeked_ = 0;  // seen and not disarmed since: its status could not be taken
};

}  // namespace uvreap
