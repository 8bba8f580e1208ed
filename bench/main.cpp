// uvreap-bench: what it costs to learn that a child ended, for uvreap and for everybody else, on the same
// work in the same run. README.md beside this file says how it is measured.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iostream>

#include "cell.hpp"
#include "compare.hpp"
#include "engine.hpp"
#include "limits.hpp"
#include "machine.hpp"
#include "plot.hpp"
#include "report.hpp"
#include "runner.hpp"
#include "scenario.hpp"
#include "spawning.hpp"
#include "speed.hpp"

namespace {

constexpr int bad_usage = 2;
constexpr int interrupted = 130;

struct choice {
  bench::plan plan;
  bench::part part;
  bench::cell_request cell;
  std::string json;
  std::string plots;
  std::string old_file;
  std::string new_file;
  std::vector<std::string> files;
};

// A table with a plan of its own.
struct standing_table {
  const char* name;
  const char* about;
  bench::plan (*plan)();
  void (*print)(std::ostream&, const bench::records&);
};

constexpr standing_table standing_tables[] = {
    {"speed", "the table of the core's speed, in markdown", bench::speed_plan, bench::print_speed},
    {"spawning", "the table of spawning off the loop, in markdown", bench::spawning_plan,
     bench::print_spawning},
};

struct standing_choice {
  CLI::App* command = nullptr;
  bench::plan plan;
  std::string json;
  std::vector<std::string> files;
};

std::vector<std::string> scenario_names() {
  std::vector<std::string> names;
  for (const auto& one : bench::scenario_catalogue()) names.push_back(one.name);
  return names;
}

std::vector<std::string> engine_names() {
  std::vector<std::string> names;
  for (const auto& one : bench::engine_catalogue()) names.push_back(one.name);
  return names;
}

// Empty if all are known; else which is not, and what there is.
std::string unknown(const char* what, const std::vector<std::string>& wanted,
                    const std::vector<std::string>& known) {
  for (const std::string& name : wanted) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string text = std::string("there is no ") + what + " '" + name + "'; there are:";
    for (const std::string& one : known) text += " " + one;
    return text;
  }
  return {};
}

// What the command line itself cannot tell: names, and numbers that this machine does not allow.
std::string objection(const bench::part& part) {
  if (auto why = unknown("scenario", part.scenarios, scenario_names()); !why.empty()) return why;
  if (auto why = unknown("engine", part.engines, engine_names()); !why.empty()) return why;
  if (part.lives.empty()) return {};
  int most = *std::max_element(part.lives.begin(), part.lives.end());
  for (const std::string& name : part.scenarios) {
    int least = bench::find_scenario(name)->least_live;
    if (most < least) return name + " needs at least " + std::to_string(least) + " live";
  }
  return bench::too_many(most, bench::children_limit());
}

// The machine is that of the first; of the others' heads the command is kept.
bench::records read_all(const std::vector<std::string>& files) {
  bench::records all;
  for (const std::string& file : files) {
    bool first = all.empty();
    for (auto& one : bench::read_records(file)) {
      if (first || one.scenario != "head" || one.metric == "command") all.push_back(std::move(one));
    }
  }
  return all;
}

int show(const bench::records& all, const std::string& plots) {
  bench::print_report(std::cout, all);
  if (plots.empty()) return 0;
  std::string problem = bench::plot(all, plots);
  if (!problem.empty()) std::cerr << problem << '\n';
  return problem.empty() ? 0 : 1;
}

struct measured {
  bench::records all;
  int result = 0;
};

measured measure(const bench::plan& plan, const std::string& json, const std::string& command_line) {
  measured run{bench::head(command_line)};
  bench::outcome outcome = bench::run(plan);
  run.all.insert(run.all.end(), outcome.all.begin(), outcome.all.end());
  if (!json.empty()) bench::write_records(run.all, json);
  run.result = outcome.interrupted ? interrupted : outcome.failed != 0 ? 1 : 0;
  return run;
}

int measure_and_report(choice& chosen, const std::string& command_line) {
  if (chosen.part.scenarios.empty()) chosen.part.scenarios = scenario_names();
  if (chosen.part.engines.empty()) chosen.part.engines = engine_names();
  if (std::string why = objection(chosen.part); !why.empty()) {
    std::cerr << "uvreap-bench: " << why << '\n';
    return bad_usage;
  }
  chosen.plan.parts = {chosen.part};
  measured run = measure(chosen.plan, chosen.json, command_line);
  int shown = show(run.all, chosen.plots);
  return run.result != 0 ? run.result : shown;
}

int print_standing(const standing_table& table, const standing_choice& chosen,
                   const std::string& command_line) {
  measured run;
  if (chosen.files.empty()) {
    run = measure(chosen.plan, chosen.json, command_line);
  } else {
    run.all = read_all(chosen.files);
  }
  table.print(std::cout, run.all);
  return run.result;
}

void add_measures(CLI::App& app, bench::plan& plan, std::string& json) {
  app.add_option("--rounds", plan.rounds, "how often the engines take turns")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--samples", plan.samples, "exits in a round, where they are one at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--time-limit", plan.time_limit, "seconds for one engine in one round; beyond, it hangs")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", json, "a file for the figures, one flat record each");
}

void add_options(CLI::App& app, choice& chosen) {
  auto& part = chosen.part;
  app.add_option("--scenario", part.scenarios, "which, with commas; all unless given")->delimiter(',');
  app.add_option("--engine", part.engines, "which, with commas; all unless given")->delimiter(',');
  app.add_option("--live", part.lives,
                 "how many other children live, with commas; else what each scenario has")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  add_measures(app, chosen.plan, chosen.json);
  app.add_option("--seconds", chosen.plan.seconds, "how long resting lasts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--plot", chosen.plots, "a directory for pictures (gnuplot)");
  app.add_option("--plant", chosen.plan.plants, "a fault that must show: delay=10us, syscall")->group("");
}

void add_standing(CLI::App& app, const standing_table& table, standing_choice& chosen) {
  chosen.command = app.add_subcommand(table.name, table.about);
  chosen.plan = table.plan();
  add_measures(*chosen.command, chosen.plan, chosen.json);
  chosen.command->add_option("FILE", chosen.files, "the table of such --json files, and nothing is measured");
}

void add_cell_options(CLI::App& app, bench::cell_request& cell) {
  app.group("");
  app.add_option("--scenario", cell.scenario)->required();
  app.add_option("--engine", cell.engine)->required();
  app.add_option("--live", cell.live);
  app.add_option("--samples", cell.samples);
  app.add_option("--seconds", cell.seconds);
  app.add_option("--plant", cell.plants);
}

int dispatch(int count, char** arguments) {
  choice chosen;
  CLI::App app{"What it costs to learn that a child ended: uvreap and others, side by side.", "uvreap-bench"};
  add_options(app, chosen);
  CLI::App* cell = app.add_subcommand("cell");
  add_cell_options(*cell, chosen.cell);
  CLI::App* compare = app.add_subcommand("compare", "what changed between two --json files beyond noise");
  compare->add_option("OLD", chosen.old_file)->required();
  compare->add_option("NEW", chosen.new_file)->required();
  CLI::App* again = app.add_subcommand("show", "one report of some --json files, and its pictures");
  again->add_option("FILE", chosen.files)->required();
  again->add_option("--plot", chosen.plots, "a directory for pictures (gnuplot)");
  again->add_option("--json", chosen.json, "a file for the figures that the report shows");
  std::array<standing_choice, std::size(standing_tables)> standing;
  for (std::size_t at = 0; at < standing.size(); ++at) add_standing(app, standing_tables[at], standing[at]);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& why) {
    return app.exit(why) == 0 ? 0 : bad_usage;
  }
  if (*cell) return bench::run_cell(chosen.cell);
  if (*compare) {
    bench::compare(std::cout, bench::read_records(chosen.old_file), bench::read_records(chosen.new_file));
    return 0;
  }
  if (*again) {
    bench::records all = read_all(chosen.files);
    if (!chosen.json.empty()) bench::write_records(bench::in_report(all), chosen.json);
    return show(all, chosen.plots);
  }
  std::string command_line;
  for (int at = 0; at < count; ++at) command_line += (at == 0 ? "" : " ") + std::string(arguments[at]);
  for (std::size_t at = 0; at < standing.size(); ++at) {
    if (*standing[at].command) return print_standing(standing_tables[at], standing[at], command_line);
  }
  return measure_and_report(chosen, command_line);
}

}  // namespace

int main(int count, char** arguments) try {
  return dispatch(count, arguments);
} catch (const std::exception& why) {
  std::cerr << "uvreap-bench: " << why.what() << '\n';
  return bad_usage;
}
