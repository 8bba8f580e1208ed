#include "uvreap/statistics.hpp"

#include <uv.h>

#include <ostream>

#include "child/name_of.hpp"

namespace uvreap::inline v0 {

std::ostream& operator<<(std::ostream& out, backend_kind kind) {
  return out << name_of(kind, {"automatic", "ring", "pidfd", "peek"});
}

std::ostream& operator<<(std::ostream& out, sigchld_health health) {
  return out << name_of(health, {"healthy", "ignored", "blocked", "unheard"});
}

std::ostream& operator<<(std::ostream& out, const statistics& stats) {
  out << stats.reaped << " reaped, " << stats.lost << " lost, " << stats.recovered << " recovered, "
      << stats.unclaimed << " unclaimed, " << stats.watched << " watched; " << stats.sweeps
      << " sweeps, longest "
      << std::chrono::duration_cast<std::chrono::microseconds>(stats.longest_sweep).count() << " us, "
      << stats.budget_spent_turns << " over budget; wake-ups by sigchld " << stats.wakeups_by_sigchld
      << ", backend " << stats.wakeups_by_backend << ", poller " << stats.wakeups_by_poller << " (missed "
      << stats.missed << "); backend " << stats.backend << " (" << stats.on_ring << " ring, "
      << stats.on_pidfd << " pidfd, " << stats.on_peek << " peek)";
  if (stats.degraded != 0) out << ", degraded: " << uv_strerror(stats.degraded);
  return out << "; SIGCHLD " << stats.sigchld;
}

}  // namespace uvreap::inline v0
