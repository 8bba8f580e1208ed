#include "plot.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "picture.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;

struct picture {
  std::string name;
  std::string title;
  std::string x_label;
  std::string y_label;
  std::string settings;  // further lines for gnuplot
};

// One line, or set of bars, of a picture.
struct curve {
  std::string name;
  std::vector<std::vector<double>> points;
};

std::string heading(const records& all) {
  std::string text;
  for (const record& one : all) {
    if (one.scenario == "head" && (one.metric == "machine" || one.metric == "kernel")) {
      text += (text.empty() ? "" : ", ") + one.value.get<std::string>();
    }
  }
  return text;
}

std::string run_gnuplot(const fs::path& script) {
  std::string program = "gnuplot";
  std::string argument = script.filename();
  std::string directory = script.parent_path();
  char* arguments[] = {program.data(), argument.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  pid_t pid = 0;
  int error = ::posix_spawnp(&pid, program.c_str(), &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return std::string("gnuplot cannot be run: ") + std::strerror(error);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status == 0 ? "" : "gnuplot failed on " + script.string();
}

std::string draw(const records& all, const fs::path& directory, const picture& what,
                 const std::vector<curve>& curves) {
  if (curves.empty()) return {};
  std::ofstream data(directory / (what.name + ".dat"));
  std::ofstream script(directory / (what.name + ".gnuplot"));
  script << "set terminal svg size 900,560 background 'white' font 'sans,13'\n"
         << "set output '" << what.name << ".svg'\n"
         << "set title \"" << what.title << "\\n"
         << heading(all) << "\" noenhanced\n"
         << "set xlabel '" << what.x_label << "'\nset ylabel '" << what.y_label << "'\n"
         << "set grid\nset key outside right noenhanced\n"
         << what.settings << "plot ";
  for (std::size_t index = 0; index < curves.size(); ++index) {
    for (const auto& point : curves[index].points) {
      for (double coordinate : point) data << coordinate << ' ';
      data << '\n';
    }
    data << "\n\n";
    script << (index == 0 ? "" : ", \\\n  ") << "'" << what.name << ".dat' index " << index
           << " with linespoints pointsize 0.6 dashtype " << index / 8 + 1 << " title '" << curves[index].name
           << "'";
  }
  script << '\n';
  data.close();
  script.close();
  return run_gnuplot(directory / (what.name + ".gnuplot"));
}

// A logarithmic axis has no place for 0: it is drawn at 1, and labelled.
const char* const log_log =
    "set logscale xy\nset xtics ('0' 1, '10' 10, '100' 100, '1 000' 1000, '10 000' 10000, '100 000' "
    "100000)\n";

std::vector<curve> against_live(const records& all, const std::string& scenario, const std::string& metric) {
  std::vector<curve> curves;
  for (const std::string& engine : engines_in(all, scenario)) {
    curve one{engine, {}};
    for (int live : lives_in(all, scenario)) {
      auto values = spread_of(rounds_of(all, {scenario, live, engine, metric}));
      if (values.rounds != 0) one.points.push_back({std::max(1.0, static_cast<double>(live)), values.middle});
    }
    if (!one.points.empty()) curves.push_back(std::move(one));
  }
  return curves;
}

// The share of samples (in percent) at or below a latency, from the quantiles of each round.
std::vector<curve> distribution(const records& all, const std::string& scenario, int live,
                                const std::string& suffix) {
  std::vector<curve> curves;
  for (const std::string& engine : engines_in(all, scenario)) {
    curve one{engine, {}};
    for (int percent : {1, 5, 10, 25, 50, 75, 90, 95, 99}) {
      auto metric = "p" + std::to_string(percent) + suffix;
      auto values = spread_of(rounds_of(all, {scenario, live, engine, metric}));
      if (values.rounds != 0) one.points.push_back({values.middle, static_cast<double>(percent)});
    }
    if (!one.points.empty()) curves.push_back(std::move(one));
  }
  return curves;
}

}  // namespace

std::string plot(const records& all, const std::string& directory) {
  fs::create_directories(directory);
  fs::path into = directory;
  std::string problem;
  auto keep = [&](const std::string& why) {
    if (!why.empty()) problem = why;
  };
  if (std::string svg = picture_of(all); !svg.empty()) {
    std::ofstream file(into / "latency.svg");
    if (!(file << svg).flush()) problem = (into / "latency.svg").string() + " cannot be written";
  }
  for (const char* scenario : {"latency", "growth"}) {
    std::string name = scenario;
    keep(draw(all, into, {name + "_p50", "Exit to callback, median", "live children", "us", log_log},
              against_live(all, name, "p50")));
    keep(draw(all, into, {name + "_cpu", "CPU of the parent per exit", "live children", "us", log_log},
              against_live(all, name, "cpu_per_child")));
  }
  for (int live : lives_in(all, "latency")) {
    std::string count = std::to_string(live);
    keep(draw(all, into,
              {"latency_distribution_" + count, "Exit to callback, " + count + " live", "us",
               "percent of exits", "set logscale x\n"},
              distribution(all, "latency", live, "")));
  }
  for (int live : lives_in(all, "storm")) {
    std::string count = std::to_string(live);
    keep(draw(all, into,
              {"storm_timer_" + count, "Lateness of a 1 ms timer in a storm of exits, " + count + " live",
               "us", "percent of ticks", "set logscale x\n"},
              distribution(all, "storm", live, "_timer")));
  }
  return problem;
}

}  // namespace bench
