#include "scenario.hpp"

#include <utility>

namespace bench {

const std::vector<scenario>& scenario_catalogue() {
  static const std::vector<scenario> all = [] {
    std::vector<scenario> gathered = {
        latency_scenario(),    spawn_scenario(),        burst_scenario(),
        storm_scenario(),      resting_scenario(),      memory_scenario(),
        big_parent_scenario(), sigchld_lost_scenario(), growth_scenario(),
    };
    for (auto& one : flood_scenarios()) gathered.push_back(std::move(one));
    return gathered;
  }();
  return all;
}

const scenario* find_scenario(const std::string& name) {
  for (const scenario& one : scenario_catalogue()) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

}  // namespace bench
