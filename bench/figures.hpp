// What is measured: samples, their quantiles, and figures with a name and a unit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct figure {
  std::string metric;
  std::string unit;
  double value;
};
using figures = std::vector<figure>;

// The value below which this share of the samples lies (nearest rank). NaN if there are none.
double quantile(std::vector<double> samples, double share);
double median(const std::vector<double>& samples);
double mean(const std::vector<double>& samples);

// The quantiles p1 to p99, min and max of samples in ns, as figures in us, each name with this suffix.
void add_quantiles(figures& to, std::vector<double> samples_ns, const std::string& suffix = "");

// The median of some rounds, and how far they lie apart.
struct spread {
  double middle = 0;
  double low = 0;
  double high = 0;
  std::size_t rounds = 0;
};
spread spread_of(const std::vector<double>& rounds);

}  // namespace bench
