#include "table.hpp"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <set>
#include <utility>

namespace bench {
namespace {

std::string formatted(const char* how, double number) {
  char text[40];
  std::snprintf(text, sizeof(text), how, number);
  return text;
}

std::vector<double> numbers_of(const records& all, const table_line& line) {
  switch (line.how) {
    case table_line::kind::value:
      return rounds_of(all, line.what);
    case table_line::kind::ratio:
      return ratios_of(all, line.what, line.base);
    case table_line::kind::difference:
      return differences_of(all, line.what, line.base);
  }
  return {};
}

std::string unit_of(const records& all, const table_line& line) {
  if (line.how == table_line::kind::ratio) return {};
  auto found = std::find_if(all.begin(), all.end(), [&](const record& one) {
    return one.scenario == line.what.scenario && one.engine == line.what.engine &&
           one.metric == line.what.metric;
  });
  return found == all.end() ? "" : " " + found->unit;
}

const char* format_of(const table_line& line, const std::string& unit) {
  return line.how == table_line::kind::ratio ? "%.3f" : unit == " us" ? "%.1f" : "%.4g";
}

std::string measured(const records& all, const table_line& line, const std::vector<double>& numbers) {
  if (numbers.empty()) return "-";
  std::string unit = unit_of(all, line);
  const char* how = format_of(line, unit);
  return formatted(how, median(numbers)) + unit + " (" + formatted(how, quantile(numbers, 0.25)) + " to " +
         formatted(how, quantile(numbers, 0.75)) + ")";
}

std::string wanted(const table_line& line) {
  if (line.must.what == aim::kind::none) return {};
  const char* how = line.how == table_line::kind::ratio ? "%.2f" : "%.4g";
  return (line.must.what == aim::kind::at_most ? "<= " : ">= ") + formatted(how, line.must.bound);
}

std::string verdict(const aim& must, const std::vector<double>& numbers) {
  if (must.what == aim::kind::none) return {};
  if (numbers.empty()) return "not measured";
  double middle = median(numbers);
  return (must.what == aim::kind::at_most ? middle <= must.bound : middle >= must.bound) ? "yes" : "no";
}

}  // namespace

table_line value(std::string figure, series what, aim must) {
  return {std::move(figure), table_line::kind::value, std::move(what), {}, must};
}

table_line ratio(std::string figure, series what, series base, aim must) {
  return {std::move(figure), table_line::kind::ratio, std::move(what), std::move(base), must};
}

table_line difference(std::string figure, series what, series base, aim must) {
  return {std::move(figure), table_line::kind::difference, std::move(what), std::move(base), must};
}

void print_markdown(std::ostream& out, const records& all, const std::vector<table_line>& lines) {
  out << "| figure | measured | aim | holds |\n|---|---|---|---|\n";
  for (const table_line& line : lines) {
    auto numbers = numbers_of(all, line);
    out << "| " << line.figure << " | " << measured(all, line, numbers) << " | " << wanted(line) << " | "
        << verdict(line.must, numbers) << " |\n";
  }
}

std::string middle_of(const records& all, const table_line& line) {
  auto numbers = numbers_of(all, line);
  if (numbers.empty()) return "-";
  std::string unit = unit_of(all, line);
  return formatted(format_of(line, unit), median(numbers)) + unit;
}

void print_source(std::ostream& out, const records& all, const std::string& command) {
  std::set<int> rounds;
  std::string machine;
  for (const record& one : all) {
    if (one.scenario != "head") {
      rounds.insert(one.round);
    } else if (one.metric == "machine" || one.metric == "kernel") {
      machine += one.value.get<std::string>() + ", ";
    }
  }
  out << "By `" << command << "`: " << machine << rounds.size() << (rounds.size() == 1 ? " round" : " rounds")
      << ", in which the engines take turns. A figure is the median over the rounds, a ratio or a "
         "difference that of the rounds' own; in brackets the middle half of the rounds.\n\n";
}

}  // namespace bench
