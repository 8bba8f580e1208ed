#include "init_report.hpp"

#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "../shared/printed.hpp"
#include "../shared/usage_json.hpp"

namespace pid1 {
namespace {

using json_object = nlohmann::ordered_json;

json_object json_of(const uvreap::statistics& reaper) {
  return {{"reaped", reaper.reaped},
          {"lost", reaper.lost},
          {"unclaimed", reaper.unclaimed},
          {"sweeps", reaper.sweeps},
          {"longest_pass_us", microseconds_of(reaper.longest_sweep)},
          {"budget_spent_turns", reaper.budget_spent_turns},
          {"wakeups_by_sigchld", reaper.wakeups_by_sigchld},
          {"wakeups_by_backend", reaper.wakeups_by_backend},
          {"wakeups_by_poller", reaper.wakeups_by_poller},
          {"missed", reaper.missed},
          {"backend", streamed(reaper.backend)},
          {"sigchld", streamed(reaper.sigchld)},
          {"unclaimed_one_by_one", reaper.unclaimed_one_by_one}};
}

json_object usage_of(int whose) {
  rusage usage{};
  ::getrusage(whose, &usage);
  return usage_json(uvreap::resource_usage::from(usage));
}

}  // namespace

std::string report::json(int exit_status) const {
  const uvreap::wait_status& status = child.status;
  json_object object = {
      {"exit_status", exit_status},
      {"child",
       {{"pid", child.pid},
        {"status", status.text()},
        {"exit_code", status.exited() ? json_object(status.exit_code()) : json_object()},
        {"signal", status.signaled() ? json_object(status.term_signal()) : json_object()},
        {"core_dumped", status.core_dumped()},
        {"wall_us", microseconds_of(wall)},
        {"rusage", usage_json(child.usage)}}},
      {"orphans",
       {{"reaped", orphans}, {"killed_by_signal", orphans_killed}, {"warnings_dropped", warnings_dropped}}},
      {"signals_forwarded", forwarded},
      {"killed_leftovers", killed_leftovers},
      {"reaper", json_of(reaper)},
      {"rusage", {{"self", usage_of(RUSAGE_SELF)}, {"children", usage_of(RUSAGE_CHILDREN)}}}};
  return object.dump() + '\n';
}

}  // namespace pid1
