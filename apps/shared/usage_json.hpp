// All of a child's rusage, as the programs' JSON has it.
#pragma once

#include <nlohmann/json.hpp>
#include <uvreap/child_exit.hpp>

inline nlohmann::ordered_json usage_json(const uvreap::resource_usage& usage) {
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
