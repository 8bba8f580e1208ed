#include "backends/peek.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include "os/syscalls.hpp"

namespace uvreap {
namespace {

constexpr int most_between_pauses = 1 << 20;  // no pause: the budget cuts long before

}  // namespace

void exit_index_peek::disarm(pid_t pid) noexcept {
  armed_.remove(pid);
  if (last_peeked_ == pid) last_peeked_ = 0;
}

void exit_index_peek::hear(notice who) noexcept {
  if (armed_.size() == 0) return;
  if (who == notice::poller) {
    armed_.ask(notice::poller);
  } else {
    peek_due_ = true;
  }
}

std::size_t exit_index_peek::take(std::span<candidate> out) noexcept {
  // In turn, where both are due: as long as exits keep coming a peek shows one of ours, and the poller's
  // round, which alone finds a stolen exit, would never come.
  round_is_next_ = !round_is_next_ && armed_.under_way();
  if (peek_due_ && !round_is_next_) {
    if (named_ == until_pause_) {
      named_ = 0;
      until_pause_ = std::min(until_pause_ * 2, most_between_pauses);
      return 0;
    }
    if (pid_t ours = peek(); ours != 0) {
      ++named_;
      out[0] = {ours, notice::sigchld};
      return 1;
    }
    peek_due_ = false;
    named_ = 0;
    until_pause_ = 1;
  }
  std::array<pid_t, 16> pids{};
  std::size_t count = armed_.take(std::span(pids).first(std::min(out.size(), pids.size())));
  for (std::size_t i = 0; i < count; ++i) out[i] = {pids[i], armed_.why()};
  return count;
}

bool exit_index_peek::has_more() const noexcept { return peek_due_ || armed_.under_way(); }

pid_t exit_index_peek::peek() noexcept {
  siginfo_t first{};
  if (sys::waitid(P_ALL, 0, &first, WEXITED | WNOHANG | WNOWAIT) != 0) {
    // ECHILD: no child at all, or only such as need __WALL; the poller's round tells who is lost. After
    // anything else we do not know, and ask each of ours.
    if (errno != ECHILD) armed_.ask(notice::sigchld);
    return 0;
  }
  if (first.si_pid == 0) return 0;
  if (!armed_.has(first.si_pid) || first.si_pid == last_peeked_) {
    // Somebody else's, or one that wait4 did not give. Never peek at it again before the next notice.
    armed_.ask(notice::sigchld);
    return 0;
  }
  return last_peeked_ = first.si_pid;
}

void exit_index_peek::describe(statistics& stats) const noexcept {
  stats.backend = backend_kind::peek;
  stats.on_peek = armed_.size();
}

}  // namespace uvreap
