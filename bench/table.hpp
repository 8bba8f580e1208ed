// A table in markdown: figures over the rounds of a run, what each must reach, and whether it does.
//
//     series always{"latency", 0, "uvreap-automatic", "p50"};
//     print_markdown(out, all, {ratio("p50, always over by_hand", always, always.of("by_hand"),
//     at_most(1.16))});
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "record.hpp"

namespace bench {

struct aim {
  enum class kind { none, at_most, at_least };
  kind what = kind::none;
  double bound = 0;
};
inline aim at_most(double bound) { return {aim::kind::at_most, bound}; }
inline aim at_least(double bound) { return {aim::kind::at_least, bound}; }

struct table_line {
  enum class kind { value, ratio, difference };
  std::string figure;
  kind how = kind::value;
  series what;
  series base;  // of a ratio or a difference
  aim must;
};
table_line value(std::string figure, series what, aim must = {});
table_line ratio(std::string figure, series what, series base, aim must = {});
table_line difference(std::string figure, series what, series base, aim must = {});

// The median of the rounds, in brackets the middle half of them. A line holds when its median does.
void print_markdown(std::ostream&, const records&, const std::vector<table_line>&);

// "1.064", "57.3 us", "11 calls", or "-" where there is none.
std::string middle_of(const records&, const table_line&);

// Where and by what command it was measured, in one line.
void print_source(std::ostream&, const records&, const std::string& command);

}  // namespace bench
