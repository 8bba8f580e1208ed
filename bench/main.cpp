// uvreap-bench: what it costs to learn that a child ended, for uvreap and for everybody else, on the same
// work in the same run. README.md beside this file says how it is measured.
#include <CLI/CLI.hpp>
#include <algorithm>
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

namespace {

constexpr int bad_usage = 2;
constexpr int interrupted = 130;

struct choice {
  bench::plan plan;
  bench::cell_request cell;
  std::string json;
  std::string plots;
  std::string old_file;
  std::string new_file;
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
std::string objection(const bench::plan& plan) {
  if (auto why = unknown("scenario", plan.scenarios, scenario_names()); !why.empty()) return why;
  if (auto why = unknown("engine", plan.engines, engine_names()); !why.empty()) return why;
  if (plan.lives.empty()) return {};
  for (const std::string& name : plan.scenarios) {
    int least = bench::find_scenario(name)->least_live;
    if (*std::max_element(plan.lives.begin(), plan.lives.end()) >= least) continue;
    return name + " needs at least " + std::to_string(least) + " live";
  }
  return bench::too_many(*std::max_element(plan.lives.begin(), plan.lives.end()), bench::children_limit());
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

int measure(choice& chosen, const std::string& command_line) {
  if (chosen.plan.scenarios.empty()) chosen.plan.scenarios = scenario_names();
  if (chosen.plan.engines.empty()) chosen.plan.engines = engine_names();
  if (std::string why = objection(chosen.plan); !why.empty()) {
    std::cerr << "uvreap-bench: " << why << '\n';
    return bad_usage;
  }
  bench::records all = bench::head(command_line);
  bench::outcome outcome = bench::run(chosen.plan);
  all.insert(all.end(), outcome.all.begin(), outcome.all.end());
  if (!chosen.json.empty()) bench::write_records(all, chosen.json);
  int result = show(all, chosen.plots);
  if (outcome.interrupted) return interrupted;
  return outcome.failed != 0 ? 1 : result;
}

void add_options(CLI::App& app, choice& chosen) {
  auto& plan = chosen.plan;
  app.add_option("--scenario", plan.scenarios, "which, with commas; all unless given")->delimiter(',');
  app.add_option("--engine", plan.engines, "which, with commas; all unless given")->delimiter(',');
  app.add_option("--live", plan.lives,
                 "how many other children live, with commas; else what each scenario has")
      ->delimiter(',')
      ->check(CLI::NonNegativeNumber);
  app.add_option("--rounds", plan.rounds, "how often the engines take turns")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--samples", plan.samples, "exits in a round, where they are one at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seconds", plan.seconds, "how long resting lasts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--time-limit", plan.time_limit, "seconds for one engine in one round; beyond, it hangs")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--json", chosen.json, "a file for the figures, one flat record each");
  app.add_option("--plot", chosen.plots, "a directory for pictures (gnuplot)");
  app.add_option("--plant", plan.plants, "a fault that must show: delay=10us, syscall")->group("");
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
  if (*again) return show(read_all(chosen.files), chosen.plots);
  std::string command_line;
  for (int at = 0; at < count; ++at) command_line += (at == 0 ? "" : " ") + std::string(arguments[at]);
  return measure(chosen, command_line);
}

}  // namespace

int main(int count, char** arguments) try {
  return dispatch(count, arguments);
} catch (const std::exception& why) {
  std::cerr << "uvreap-bench: " << why.what() << '\n';
  return bad_usage;
}
