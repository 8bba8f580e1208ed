#include "record.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>

namespace bench {
namespace {

using by_round = std::map<int, double>;

by_round values(const records& all, const series& what) {
  by_round found;
  for (const record& one : all) {
    if (one.scenario == what.scenario && one.engine == what.engine && one.live == what.live &&
        one.metric == what.metric && one.value.is_number()) {
      found[one.round] = one.value.get<double>();
    }
  }
  return found;
}

template <class Join>
std::vector<double> join(const records& all, const series& what, const series& base, Join join) {
  by_round bases = values(all, base);
  std::vector<double> joined;
  for (auto [round, value] : values(all, what)) {
    auto found = bases.find(round);
    if (found != bases.end()) join(joined, value, found->second);
  }
  return joined;
}

template <class Value>
void add_once(std::vector<Value>& to, const Value& what) {
  if (std::find(to.begin(), to.end(), what) == to.end()) to.push_back(what);
}

}  // namespace

records read_records(const std::string& path) try {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot be opened");
  return nlohmann::json::parse(file).get<records>();
} catch (const std::exception& why) {
  throw std::runtime_error(path + ": " + why.what());
}

void write_records(const records& all, const std::string& path) {
  std::ofstream file(path);
  file << "[\n";
  const char* separator = "";
  for (const record& one : all) {
    file << separator << nlohmann::json(one).dump();
    separator = ",\n";
  }
  file << "\n]\n";
  if (!file.flush()) throw std::runtime_error(path + ": cannot be written");
}

std::vector<double> rounds_of(const records& all, const series& what) {
  std::vector<double> numbers;
  for (auto [round, value] : values(all, what)) numbers.push_back(value);
  return numbers;
}

std::vector<double> ratios_of(const records& all, const series& what, const series& base) {
  return join(all, what, base, [](auto& ratios, double value, double under) {
    if (under > 0) ratios.push_back(value / under);
  });
}

std::vector<double> differences_of(const records& all, const series& what, const series& base) {
  return join(all, what, base,
              [](auto& differences, double value, double less) { differences.push_back(value - less); });
}

std::vector<std::string> scenarios_in(const records& all) {
  std::vector<std::string> names;
  for (const record& one : all) {
    if (one.scenario != "head") add_once(names, one.scenario);
  }
  return names;
}

std::vector<std::string> engines_in(const records& all, const std::string& scenario) {
  // Sorted into the order of the first round, which is that of the command line: later rounds are rotated.
  std::vector<std::string> names;
  for (const record& one : all) {
    if (one.scenario == scenario) add_once(names, one.engine);
  }
  return names;
}

std::vector<int> lives_in(const records& all, const std::string& scenario) {
  std::set<int> lives;
  for (const record& one : all) {
    if (one.scenario == scenario) lives.insert(one.live);
  }
  return {lives.begin(), lives.end()};
}

}  // namespace bench
