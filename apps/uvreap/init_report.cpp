#include "init_report.hpp"

#include <sys/resource.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace pid1 {
namespace {

using json_object = nlohmann::ordered_json;

template <class T>
std::string text_of(const T& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

std::int64_t microseconds_of(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

json_object json_of(const uvreap::resource_usage& usage) {
  return {{"user_us", usage.user_time.count()},
          {"system_us", usage.system_time.count()},
          {"max_rss_bytes", usage.max_rss_bytes},
          {"minor_faults", usage.minor_faults},
          {"major_faults", usage.major_faults},
          {"voluntary_switches", usage.voluntary_switches},
          {"involuntary_switches", usage.involuntary_switches},
          {"blocks_in", usage.blocks_in},
          {"blocks_out", usage.blocks_out}};
}

json_object json_of(const uvreap::statistics& reaper) {
  return {{"reaped", reaper.reaped},
          {"lost", reaper.lost},
          {"unclaimed", reaper.unclaimed},
          {"passes", reaper.passes},
          {"longest_pass_us", microseconds_of(reaper.longest_pass)},
          {"budget_spent_turns", reaper.budget_spent_turns},
          {"heard_by_sigchld", reaper.heard_by_sigchld},
          {"heard_by_index", reaper.heard_by_index},
          {"heard_by_poller", reaper.heard_by_poller},
          {"missed", reaper.missed},
          {"index", text_of(reaper.index)},
          {"sigchld", text_of(reaper.sigchld)},
          {"unclaimed_one_by_one", reaper.unclaimed_one_by_one}};
}

json_object usage_of(int whose) {
  rusage usage{};
  ::getrusage(whose, &usage);
  return json_of(uvreap::resource_usage::from(usage));
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
        {"rusage", json_of(child.usage)}}},
      {"orphans",
       {{"reaped", orphans}, {"killed_by_signal", orphans_killed}, {"warnings_dropped", warnings_dropped}}},
      {"signals_forwarded", forwarded},
      {"killed_leftovers", killed_leftovers},
      {"reaper", json_of(reaper)},
      {"rusage", {{"self", usage_of(RUSAGE_SELF)}, {"children", usage_of(RUSAGE_CHILDREN)}}}};
  return object.dump() + '\n';
}

}  // namespace pid1
