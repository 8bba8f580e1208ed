// One figure of one round, flat: what the JSON file is a list of.
//
// The head of a report (machine, kernel, options) and what was skipped are records too, with text for a
// value: scenario "head", and metric "skipped" or "failed".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "figures.hpp"

namespace bench {

struct record {
  std::string scenario;
  std::string engine;
  std::string version;
  int live = 0;
  std::string metric;
  std::string unit;
  nlohmann::json value;
  int round = 0;
};
using records = std::vector<record>;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(record, scenario, engine, version, live, metric, unit, value, round)

records read_records(const std::string& path);  // throws std::runtime_error with the file's name
void write_records(const records&, const std::string& path);

// One metric of one cell over the rounds.
struct series {
  std::string scenario;
  int live = 0;
  std::string engine;
  std::string metric;

  [[nodiscard]] series of(const std::string& other_engine) const {
    return {scenario, live, other_engine, metric};
  }
  bool operator<(const series& other) const {
    return std::tie(scenario, live, engine, metric) <
           std::tie(other.scenario, other.live, other.engine, other.metric);
  }
};

// The numbers of a series, a round each, in the order of rounds.
std::vector<double> rounds_of(const records&, const series&);
// Round by round, where both have that round: divided by the base's, and less the base's.
std::vector<double> ratios_of(const records&, const series&, const series& base);
std::vector<double> differences_of(const records&, const series&, const series& base);

// What there is, each once, in the order of its first appearance.
std::vector<std::string> scenarios_in(const records&);
std::vector<std::string> engines_in(const records&, const std::string& scenario);
std::vector<int> lives_in(const records&, const std::string& scenario);

}  // namespace bench
