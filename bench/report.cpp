#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <ostream>
#include <set>

#include "engine.hpp"
#include "scenario.hpp"

namespace bench {
namespace {

using row = std::vector<std::string>;

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof(text), value < 10 ? "%.2f" : value < 1000 ? "%.1f" : "%.0f", value);
  return text;
}

// "52.1 [50.9 54.0]": the median of the rounds, the lowest and the highest.
std::string text_of(const spread& values) {
  if (values.rounds == 0) return "-";
  if (values.rounds == 1) return number(values.middle);
  return number(values.middle) + " [" + number(values.low) + " " + number(values.high) + "]";
}

void print_table(std::ostream& out, const std::vector<row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const row& one : rows) {
    for (std::size_t at = 0; at < one.size(); ++at) widths[at] = std::max(widths[at], one[at].size());
  }
  for (const row& one : rows) {
    std::string line = "  ";
    for (std::size_t at = 0; at < one.size(); ++at) {
      std::string filler(widths[at] - one[at].size() + 2, ' ');
      line += at == 0 ? one[at] + filler : filler + one[at];
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
  }
}

// Columns that nobody has a figure for are left out.
bool anybody_has(const records& all, const std::string& scenario, int live, const std::string& metric) {
  return std::any_of(all.begin(), all.end(), [&](const record& one) {
    return one.scenario == scenario && one.live == live && one.metric == metric;
  });
}

row row_of(const records& all, const scenario& what, const std::string& engine, int live,
           const std::vector<column>& columns) {
  row cells = {engine};
  for (const column& one : columns) {
    cells.push_back(text_of(spread_of(rounds_of(all, {what.name, live, engine, one.metric}))));
  }
  for (const column& one : what.ratios) {
    series mine = {what.name, live, engine, one.metric};
    cells.push_back(text_of(spread_of(ratios_of(all, mine, mine.of(what.base)))));
  }
  return cells;
}

void print_left_out(std::ostream& out, const records& all, const std::string& scenario, int live) {
  std::map<std::string, std::string> said;
  for (const record& one : all) {
    if (one.scenario != scenario || one.live != live || !one.value.is_string()) continue;
    bool skipped = one.metric == "skipped";
    said[one.engine] = (skipped ? "SKIP " : "FAILED ") + one.engine + ": " + one.value.get<std::string>();
  }
  for (const auto& [engine, text] : said) out << "  " << text << '\n';
}

void print_scenario(std::ostream& out, const records& all, const scenario& what, int live) {
  out << '\n' << what.name << ", " << live << " live\n";
  std::vector<column> columns;
  for (const column& one : what.columns) {
    if (anybody_has(all, what.name, live, one.metric)) columns.push_back(one);
  }
  row titles = {"engine"};
  for (const column& one : columns) titles.push_back(one.title);
  for (const column& one : what.ratios) titles.push_back(one.title + " / " + what.base);
  std::vector<row> rows = {titles};
  for (const std::string& engine : engines_in(all, what.name)) {
    row cells = row_of(all, what, engine, live, columns);
    bool has_any = std::any_of(cells.begin() + 1, cells.end(), [](const auto& text) { return text != "-"; });
    if (has_any) rows.push_back(cells);
  }
  if (rows.size() > 1) print_table(out, rows);
  print_left_out(out, all, what.name, live);
}

std::vector<std::string> versions_in(const records& all) {
  std::vector<std::string> versions;
  for (const record& one : all) {
    bool known = std::find(versions.begin(), versions.end(), one.version) != versions.end();
    if (!one.version.empty() && !known) versions.push_back(one.version);
  }
  return versions;
}

std::set<std::string> engines_of(const records& all, const std::string& version) {
  std::set<std::string> engines;
  for (const record& one : all) {
    if (one.version == version) engines.insert(one.engine);
  }
  return engines;
}

// "When an engine calls back before it reaps" is nothing that a reader of one column would guess.
void print_early_callers(std::ostream& out, const records& all, const std::string& scenario) {
  for (const auto& entry : engine_catalogue()) {
    bool said = std::any_of(all.begin(), all.end(), [&](const record& one) {
      return one.scenario == scenario && one.engine == entry.name && one.metric == "p50_reaped";
    });
    if (said) out << "  " << entry.name << " calls back before it reaps; \"reaped\" counts until it has.\n";
  }
}

void print_head(std::ostream& out, const records& all) {
  std::vector<row> rows;
  for (const record& one : all) {
    if (one.scenario == "head") rows.push_back({one.metric, one.value.get<std::string>()});
  }
  for (const std::string& version : versions_in(all)) {
    std::string who;
    for (const std::string& engine : engines_of(all, version)) who += (who.empty() ? "" : ", ") + engine;
    rows.push_back({who, version});
  }
  for (const row& one : rows) out << "  " << one[0] << ": " << one[1] << '\n';
}

}  // namespace

records in_report(const records& all) {
  records kept;
  for (const record& one : all) {
    const scenario* what = find_scenario(one.scenario);
    bool is_shown = what == nullptr || !one.value.is_number() ||
                    std::any_of(what->columns.begin(), what->columns.end(),
                                [&](const column& shown) { return shown.metric == one.metric; });
    if (is_shown) kept.push_back(one);
  }
  return kept;
}

void print_report(std::ostream& out, const records& all) {
  out << "uvreap-bench\n";
  print_head(out, all);
  out << "\nEach figure is the median over the rounds, with the lowest and the highest round; a ratio is "
         "formed round by round.\n";
  for (const std::string& name : scenarios_in(all)) {
    const scenario* what = find_scenario(name);
    if (what == nullptr) continue;
    out << '\n' << name << ": " << what->about << '\n';
    for (int live : lives_in(all, name)) print_scenario(out, all, *what, live);
    print_early_callers(out, all, name);
  }
}

}  // namespace bench
