#include "compare.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <ostream>
#include <utility>

#include "scenario.hpp"

namespace bench {
namespace {

constexpr double least_change = 0.03;
constexpr double most_by_chance = 0.03;   // of the orders in which the rounds of both runs can lie
constexpr std::size_t enough_rounds = 4;  // below, no order is that seldom: 4 and 4 lie apart in 2 of 70

// In how many orders of `first` and `second` numbers each count of pairs in which the first is the larger one
// comes up.
std::vector<double> orders(std::size_t first, std::size_t second) {
  // The largest of all is of the first, and is larger than all of the second; or it is of the second.
  std::vector<std::vector<double>> row(second + 1, {1.0});
  for (std::size_t i = 1; i <= first; ++i) {
    for (std::size_t j = 1; j <= second; ++j) {
      std::vector<double> counts(i * j + 1);
      for (std::size_t at = 0; at < row[j].size(); ++at) counts[at + j] += row[j][at];
      for (std::size_t at = 0; at < row[j - 1].size(); ++at) counts[at] += row[j - 1][at];
      row[j] = std::move(counts);
    }
  }
  return row[second];
}

// How likely numbers that differ by chance alone lie at least as far apart: the rank test of Mann and
// Whitney, exact.
double by_chance(const std::vector<double>& before, const std::vector<double>& after) {
  double larger = 0;
  for (double one : before) {
    for (double other : after) larger += one > other ? 1 : one == other ? 0.5 : 0;
  }
  double pairs = static_cast<double>(before.size()) * static_cast<double>(after.size());
  auto fewest = static_cast<std::size_t>(std::ceil(std::min(larger, pairs - larger)));
  double as_far = 0;
  double all = 0;
  std::size_t at = 0;
  for (double count : orders(before.size(), after.size())) {
    all += count;
    if (at++ <= fewest) as_far += count;
  }
  return std::min(1.0, 2 * as_far / all);
}

struct change {
  series what;
  std::string over;  // the base, where its ratio is what changed
  std::string unit;
  spread before;
  spread after;

  [[nodiscard]] double share() const { return after.middle / before.middle - 1; }
};

std::map<series, std::string> units_of(const records& all) {
  std::map<series, std::string> units;
  for (const record& one : all) {
    if (one.value.is_number()) units[{one.scenario, one.live, one.engine, one.metric}] = one.unit;
  }
  return units;
}

// The machine may be faster today, and then the base is, too: of a time the ratio to it is what counts.
bool is_judged_over(const std::string& base, const series& what, const std::string& unit,
                    const records& before, const records& after) {
  if (unit != "us" || base.empty() || base == what.engine) return false;
  series under = what.of(base);
  return ratios_of(before, what, under).size() >= enough_rounds &&
         ratios_of(after, what, under).size() >= enough_rounds;
}

std::string base_of(const std::string& scenario) {
  const auto* known = find_scenario(scenario);
  return known == nullptr ? "" : known->base;
}

void print(std::ostream& out, const change& one, const records& before, const records& after) {
  const auto& [scenario, live, engine, metric] = one.what;
  char text[400];
  std::snprintf(text, sizeof(text), "%+7.1f %%  %s, %d live, %s %s%s%s: %.4g [%.4g %.4g] -> %.4g [%.4g %.4g]",
                one.share() * 100, scenario.c_str(), live, engine.c_str(), metric.c_str(),
                one.over.empty() ? "" : " over ", one.over.c_str(), one.before.middle, one.before.low,
                one.before.high, one.after.middle, one.after.low, one.after.high);
  out << text;
  if (!one.over.empty()) {
    std::snprintf(text, sizeof(text), "; itself %.4g -> %.4g", median(rounds_of(before, one.what)),
                  median(rounds_of(after, one.what)));
    out << text;
  }
  out << ' ' << one.unit << '\n';
}

void print_head(std::ostream& out, const char* which, const records& all) {
  std::string said;
  for (const record& one : all) {
    bool tells = one.metric == "time" || one.metric == "machine" || one.metric == "kernel";
    if (one.scenario == "head" && tells) said += ", " + one.value.get<std::string>();
  }
  auto ours = std::find_if(all.begin(), all.end(),
                           [](const record& one) { return one.version.starts_with("uvreap "); });
  if (ours != all.end()) said += ", " + ours->version;
  if (!said.empty()) out << which << ": " << said.substr(2) << '\n';
}

}  // namespace

int compare(std::ostream& out, const records& before, const records& after) {
  std::vector<change> changes;
  std::size_t judged = 0;
  std::size_t too_few = 0;
  std::size_t gone = 0;
  auto units = units_of(after);
  for (const auto& [what, unit] : units_of(before)) {
    if (!units.contains(what)) {
      ++gone;
      continue;
    }
    std::string base = base_of(what.scenario);
    bool over_base = is_judged_over(base, what, unit, before, after);
    auto was = over_base ? ratios_of(before, what, what.of(base)) : rounds_of(before, what);
    auto is = over_base ? ratios_of(after, what, what.of(base)) : rounds_of(after, what);
    if (std::min(was.size(), is.size()) < enough_rounds) {
      ++too_few;
      continue;
    }
    ++judged;
    change one{what, over_base ? base : "", unit, spread_of(was), spread_of(is)};
    if (std::abs(one.after.middle - one.before.middle) <= least_change * std::abs(one.before.middle))
      continue;
    if (by_chance(was, is) <= most_by_chance) changes.push_back(std::move(one));
  }
  std::sort(changes.begin(), changes.end(),
            [](const change& a, const change& b) { return std::abs(a.share()) > std::abs(b.share()); });
  print_head(out, "old", before);
  print_head(out, "new", after);
  for (const change& one : changes) print(out, one, before, after);
  out << changes.size() << " of " << judged << " figures changed beyond noise";
  if (judged != 0) {
    out << "; without any change it would be up to "
        << std::lround(most_by_chance * static_cast<double>(judged)) << ", by chance";
  }
  out << '\n';
  if (too_few != 0) {
    out << too_few << " figures have fewer than " << enough_rounds
        << " rounds in one of the runs, too few to tell a change from noise (--rounds)\n";
  }
  if (gone != 0) out << gone << " figures of the old run are not in the new one\n";
  return static_cast<int>(changes.size());
}

}  // namespace bench
