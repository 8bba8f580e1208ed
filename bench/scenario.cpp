#include "scenario.hpp"

namespace bench {

const std::vector<scenario>& scenario_catalogue() {
  static const std::vector<scenario> all = {
      latency_scenario(), spawn_scenario(),  burst_scenario(),      storm_scenario(),
      resting_scenario(), memory_scenario(), big_parent_scenario(), sigchld_lost_scenario(),
      growth_scenario(),  flood_scenario(),
  };
  return all;
}

const scenario* find_scenario(const std::string& name) {
  for (const scenario& one : scenario_catalogue()) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

}  // namespace bench
