#include "compare.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <set>
#include <tuple>

#include "scenario.hpp"

namespace bench {
namespace {

constexpr double least_change = 0.03;
constexpr std::size_t enough_rounds =
    4;  // 4 against 4 rounds that do not overlap: 3 % of all orders, by chance

using key = std::tuple<std::string, int, std::string, std::string>;  // scenario, live, engine, metric

struct change {
  key what;
  spread before;
  spread after;
  std::string against_base;

  [[nodiscard]] double share() const { return after.middle / before.middle - 1; }
};

bool overlap(const spread& a, const spread& b) { return a.low <= b.high && b.low <= a.high; }

bool beyond_noise(const spread& before, const spread& after) {
  if (before.rounds == 0 || after.rounds == 0 || before.middle == 0) return false;
  return !overlap(before, after) && std::abs(after.middle / before.middle - 1) > least_change;
}

// How likely the rounds of one run all lie below or above those of the other where nothing has changed.
double by_chance(std::size_t before, std::size_t after) {
  auto n = static_cast<double>(before);
  auto m = static_cast<double>(after);
  return 2 * std::exp(std::lgamma(n + 1) + std::lgamma(m + 1) - std::lgamma(n + m + 1));
}

std::set<key> keys_of(const records& all) {
  std::set<key> keys;
  for (const record& one : all) {
    if (one.value.is_number()) keys.insert({one.scenario, one.live, one.engine, one.metric});
  }
  return keys;
}

// The machine itself may be slower today: then the base is too, and the ratio to it is what counts.
std::string against_base(const key& what, const records& before, const records& after) {
  const auto& [scenario, live, engine, metric] = what;
  const auto* known = find_scenario(scenario);
  if (known == nullptr || engine == known->base) return "";
  auto old_ratio = spread_of(ratios_of(before, scenario, engine, known->base, live, metric));
  auto new_ratio = spread_of(ratios_of(after, scenario, engine, known->base, live, metric));
  if (old_ratio.rounds == 0 || new_ratio.rounds == 0) return "";
  char text[120];
  std::snprintf(text, sizeof(text), "; against %s %.3g -> %.3g%s", known->base.c_str(), old_ratio.middle,
                new_ratio.middle, overlap(old_ratio, new_ratio) ? " (within noise)" : "");
  return text;
}

spread rounds(const records& all, const key& what) {
  const auto& [scenario, live, engine, metric] = what;
  return spread_of(rounds_of(all, scenario, engine, live, metric));
}

void print(std::ostream& out, const change& one) {
  const auto& [scenario, live, engine, metric] = one.what;
  char text[240];
  std::snprintf(text, sizeof(text), "%+7.1f %%  %s, %d live, %s %s: %.4g [%.4g %.4g] -> %.4g [%.4g %.4g]%s",
                one.share() * 100, scenario.c_str(), live, engine.c_str(), metric.c_str(), one.before.middle,
                one.before.low, one.before.high, one.after.middle, one.after.low, one.after.high,
                one.against_base.c_str());
  out << text << '\n';
}

}  // namespace

int compare(std::ostream& out, const records& before, const records& after) {
  std::vector<change> changes;
  std::size_t judged = 0;
  std::size_t too_few = 0;
  double expected = 0;
  auto old_keys = keys_of(before);
  for (const key& what : keys_of(after)) {
    if (!old_keys.contains(what)) continue;
    change one{what, rounds(before, what), rounds(after, what), {}};
    if (std::min(one.before.rounds, one.after.rounds) < enough_rounds) {
      ++too_few;
      continue;
    }
    ++judged;
    expected += by_chance(one.before.rounds, one.after.rounds);
    if (!beyond_noise(one.before, one.after)) continue;
    one.against_base = against_base(what, before, after);
    changes.push_back(std::move(one));
  }
  std::sort(changes.begin(), changes.end(),
            [](const change& a, const change& b) { return std::abs(a.share()) > std::abs(b.share()); });
  for (const change& one : changes) print(out, one);
  out << changes.size() << " of " << judged << " figures changed beyond noise";
  if (judged != 0) out << "; without any change it would be up to " << std::lround(expected) << ", by chance";
  out << '\n';
  if (too_few != 0) {
    out << too_few << " figures have fewer than " << enough_rounds
        << " rounds in one of the runs, too few to tell a change from noise (--rounds)\n";
  }
  return static_cast<int>(changes.size());
}

}  // namespace bench
