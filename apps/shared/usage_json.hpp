// All of a child's rusage, as the programs' JSON has it.
#pragma once

#include <nlohmann/json.hpp>
#include <uvreap/child_exit.hpp>

inline nlohmann::ordered_json usage_json(const uvreap::resource_usage& usage) {
  nlohmann::ordered_json all;
  all["user_us"] = usage.user_time.count();
  all["system_us"] = usage.system_time.count();
  all["max_rss_bytes"] = usage.max_rss_bytes;
  all["minor_faults"] = usage.minor_faults;
  all["major_faults"] = usage.major_faults;
  all["voluntary_switches"] = usage.voluntary_switches;
  all["involuntary_switches"] = usage.involuntary_switches;
  all["blocks_in"] = usage.blocks_in;
  all["blocks_out"] = usage.blocks_out;
  return all;
}
