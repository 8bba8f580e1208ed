#include "figures.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace bench {

double quantile(std::vector<double> samples, double share) {
  if (samples.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(samples.begin(), samples.end());
  auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(samples.size())));
  return samples[std::min(samples.size() - 1, rank == 0 ? 0 : rank - 1)];
}

double median(const std::vector<double>& samples) {
  // Between the two in the middle, where their number is even: few rounds must not lean to one side.
  std::vector<double> sorted = samples;
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(sorted.begin(), sorted.end());
  std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

double mean(const std::vector<double>& samples) {
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

void add_quantiles(figures& to, std::vector<double> samples_ns, const std::string& suffix) {
  if (samples_ns.empty()) return;
  auto add = [&](const std::string& name, double share) {
    to.push_back({name + suffix, "us", quantile(samples_ns, share) / 1000});
  };
  for (int percent : {1, 5, 10, 25, 50, 75, 90, 95, 99}) add("p" + std::to_string(percent), percent / 100.0);
  add("min", 0);
  add("max", 1);
}

spread spread_of(const std::vector<double>& rounds) {
  if (rounds.empty()) return {};
  auto [low, high] = std::minmax_element(rounds.begin(), rounds.end());
  return {.middle = median(rounds), .low = *low, .high = *high, .rounds = rounds.size()};
}

}  // namespace bench
