#include "c/made.hpp"

namespace uvreap::c {
namespace {

// Members are listed by structured bindings: one that is added to a struct of the C++ face does not compile
// here until it is delivered to C programs, too.
uvreap_captured_t made_of(const captured& stream) noexcept {
  const auto& [bytes, cut_by_limit, cut_by_time] = stream;
  return {.bytes = bytes.c_str(),
          .length = bytes.size(),
          .cut_by_limit = cut_by_limit,
          .cut_by_time = cut_by_time};
}

}  // namespace

uvreap_usage_t made_of(const resource_usage& usage) noexcept {
  const auto& [user_time, system_time, max_rss_bytes, minor_faults, major_faults, voluntary_switches,
               involuntary_switches, blocks_in, blocks_out] = usage;
  return {.user_time_us = user_time.count(),
          .system_time_us = system_time.count(),
          .max_rss_bytes = max_rss_bytes,
          .minor_faults = minor_faults,
          .major_faults = major_faults,
          .voluntary_switches = voluntary_switches,
          .involuntary_switches = involuntary_switches,
          .blocks_in = blocks_in,
          .blocks_out = blocks_out};
}

uvreap_exit_t made_of(const child_exit& exit) noexcept {
  const auto& [pid, lost, recovered, timed_out, status, usage, noticed_by, output, error_output, error] =
      exit;
  return {.pid = pid,
          .status = status.raw(),
          .noticed_by = static_cast<int>(noticed_by),
          .error = error,
          .lost = lost,
          .recovered = recovered,
          .timed_out = timed_out,
          .usage = made_of(usage),
          .output = made_of(output),
          .error_output = made_of(error_output)};
}

uvreap_change_t made_of(const child_change& change) noexcept {
  const auto& [pid, status] = change;
  return {.pid = pid, .status = status.raw()};
}

uvreap_stats_t made_of(const statistics& stats) noexcept {
  const auto& [watched, on_backend, reaped, lost, unclaimed, sweeps, budget_spent_turns, longest_sweep,
               wakeups_by_sigchld, wakeups_by_backend, wakeups_by_poller, missed, backend, on_ring, on_pidfd,
               on_peek, degraded, sigchld, recovered, unclaimed_one_by_one, by_number, reserved,
               held_pidfds] = stats;
  return {.size = sizeof(uvreap_stats_t),
          .watched = watched,
          .on_backend = on_backend,
          .reaped = reaped,
          .lost = lost,
          .recovered = recovered,
          .unclaimed = unclaimed,
          .sweeps = sweeps,
          .budget_spent_turns = budget_spent_turns,
          .longest_sweep_ns = static_cast<std::uint64_t>(longest_sweep.count()),
          .wakeups_by_sigchld = wakeups_by_sigchld,
          .wakeups_by_backend = wakeups_by_backend,
          .wakeups_by_poller = wakeups_by_poller,
          .missed = missed,
          .backend = static_cast<int>(backend),
          .degraded = degraded,
          .sigchld = static_cast<int>(sigchld),
          .unclaimed_one_by_one = unclaimed_one_by_one,
          .on_ring = on_ring,
          .on_pidfd = on_pidfd,
          .on_peek = on_peek,
          .by_number = by_number,
          .reserved = reserved,
          .held_pidfds = held_pidfds};
}

resource_usage read(const uvreap_usage_t& usage) noexcept {
  return {.user_time = std::chrono::microseconds(usage.user_time_us),
          .system_time = std::chrono::microseconds(usage.system_time_us),
          .max_rss_bytes = usage.max_rss_bytes,
          .minor_faults = usage.minor_faults,
          .major_faults = usage.major_faults,
          .voluntary_switches = usage.voluntary_switches,
          .involuntary_switches = usage.involuntary_switches,
          .blocks_in = usage.blocks_in,
          .blocks_out = usage.blocks_out};
}

child_exit read(const uvreap_exit_t& exit) noexcept {
  return {.pid = exit.pid,
          .lost = exit.lost,
          .recovered = exit.recovered,
          .timed_out = exit.timed_out,
          .status = wait_status(exit.status),
          .usage = read(exit.usage),
          .noticed_by = static_cast<notice>(exit.noticed_by),
          .error = exit.error};
}

child_change read(const uvreap_change_t& change) noexcept {
  return {.pid = change.pid, .status = wait_status(change.status)};
}

statistics read(const uvreap_stats_t& stats) noexcept {
  return {.watched = stats.watched,
          .on_backend = stats.on_backend,
          .reaped = stats.reaped,
          .lost = stats.lost,
          .unclaimed = stats.unclaimed,
          .sweeps = stats.sweeps,
          .budget_spent_turns = stats.budget_spent_turns,
          .longest_sweep = std::chrono::nanoseconds(stats.longest_sweep_ns),
          .wakeups_by_sigchld = stats.wakeups_by_sigchld,
          .wakeups_by_backend = stats.wakeups_by_backend,
          .wakeups_by_poller = stats.wakeups_by_poller,
          .missed = stats.missed,
          .backend = static_cast<backend_kind>(stats.backend),
          .on_ring = stats.on_ring,
          .on_pidfd = stats.on_pidfd,
          .on_peek = stats.on_peek,
          .degraded = stats.degraded,
          .sigchld = static_cast<sigchld_health>(stats.sigchld),
          .recovered = stats.recovered,
          .unclaimed_one_by_one = stats.unclaimed_one_by_one,
          .by_number = stats.by_number,
          .reserved = stats.reserved,
          .held_pidfds = stats.held_pidfds};
}

}  // namespace uvreap::c
