#include "report.hpp"

#include <sys/resource.h>

#include <cinttypes>

#include "../shared/printed.hpp"
#include "settings.hpp"

// Written by hand and not by the JSON library: numbers and fixed words alone, in a program that is to be
// small.

namespace pid1 {
namespace {

std::string json_of(const uvreap::resource_usage& usage) {
  return print("{\"user_us\":%" PRId64 ",\"system_us\":%" PRId64 ",\"max_rss_bytes\":%" PRId64
               ",\"minor_faults\":%" PRId64 ",\"major_faults\":%" PRId64 ",\"voluntary_switches\":%" PRId64
               ",\"involuntary_switches\":%" PRId64 ",\"blocks_in\":%" PRId64 ",\"blocks_out\":%" PRId64 "}",
               std::int64_t{usage.user_time.count()}, std::int64_t{usage.system_time.count()},
               usage.max_rss_bytes, usage.minor_faults, usage.major_faults, usage.voluntary_switches,
               usage.involuntary_switches, usage.blocks_in, usage.blocks_out);
}

std::string json_of_usage(int whose) {
  rusage usage{};
  ::getrusage(whose, &usage);
  return json_of(uvreap::resource_usage::from(usage));
}

const char* name_of(uvreap::sigchld_health health) {
  switch (health) {
    case uvreap::sigchld_health::healthy:
      return "healthy";
    case uvreap::sigchld_health::ignored:
      return "ignored";
    case uvreap::sigchld_health::blocked:
      return "blocked";
    case uvreap::sigchld_health::unheard:
      return "unheard";
  }
  return "unknown";
}

const char* boolean(bool value) { return value ? "true" : "false"; }

std::string json_of(const uvreap::statistics& reaper) {
  return print("{\"reaped\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"unclaimed\":%" PRIu64 ",\"sweeps\":%" PRIu64
               ",\"longest_pass_us\":%" PRId64 ",\"budget_spent_turns\":%" PRIu64
               ",\"wakeups_by_sigchld\":%" PRIu64 ",\"wakeups_by_backend\":%" PRIu64
               ",\"wakeups_by_poller\":%" PRIu64 ",\"missed\":%" PRIu64,
               reaper.reaped, reaper.lost, reaper.unclaimed, reaper.sweeps,
               microseconds_of(reaper.longest_sweep), reaper.budget_spent_turns, reaper.wakeups_by_sigchld,
               reaper.wakeups_by_backend, reaper.wakeups_by_poller, reaper.missed) +
         print(",\"backend\":\"%s\",\"sigchld\":\"%s\",\"unclaimed_one_by_one\":%s}",
               pid1::name_of(reaper.backend), name_of(reaper.sigchld), boolean(reaper.unclaimed_one_by_one));
}

std::string number_or_null(bool is_there, int number) { return is_there ? std::to_string(number) : "null"; }

}  // namespace

std::string report::json(int exit_status) const {
  const uvreap::wait_status& status = child.status;
  std::string of_child = "null";
  if (child.pid != 0) {
    of_child =
        print(
            "{\"pid\":%d,\"status\":\"%s\",\"exit_code\":%s,\"signal\":%s,\"core_dumped\":%s,"
            "\"wall_us\":%" PRId64 ",\"rusage\":",
            child.pid, status.text().c_str(), number_or_null(status.exited(), status.exit_code()).c_str(),
            number_or_null(status.signaled(), status.term_signal()).c_str(), boolean(status.core_dumped()),
            microseconds_of(wall)) +
        json_of(child.usage) + '}';
  }
  return print("{\"exit_status\":%d,\"child\":", exit_status) + of_child +
         print(",\"orphans\":{\"reaped\":%" PRIu64 ",\"killed_by_signal\":%" PRIu64
               ",\"warnings_dropped\":%" PRIu64 "},\"signals_forwarded\":%" PRIu64
               ",\"killed_leftovers\":%s,\"reaper\":",
               orphans, orphans_killed, warnings_dropped, forwarded, boolean(killed_leftovers)) +
         json_of(reaper) + ",\"rusage\":{\"self\":" + json_of_usage(RUSAGE_SELF) +
         ",\"children\":" + json_of_usage(RUSAGE_CHILDREN) + "}}\n";
}

}  // namespace pid1
