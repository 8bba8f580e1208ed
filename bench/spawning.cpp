#include "spawning.hpp"

#include <ostream>
#include <string>
#include <vector>

#include "scenario.hpp"
#include "table.hpp"

namespace bench {
namespace {

const std::string on_the_loop = "uvreap-spawn";
const std::string off_the_loop = "uvreap-spawn-async";

void add(std::vector<table_line>& to, const std::string& scenario) {
  auto figure = [&](const std::string& engine, const std::string& metric) {
    return series{scenario, 0, engine, metric};
  };
  std::string of = "`" + scenario + "`: ";
  to.push_back(value(of + "a 1 ms timer is late, p50, `spawn`", figure(on_the_loop, "p50_late")));
  to.push_back(value(of + "the same, `spawn_async`", figure(off_the_loop, "p50_late"), at_most(100)));
  to.push_back(ratio(of + "children a second over those of `spawn`", figure(off_the_loop, "rate"),
                     figure(on_the_loop, "rate"), at_least(0.95)));
  to.push_back(
      value(of + "200 a second: the call holds the loop, p50, `spawn`", figure(on_the_loop, "p50_call_200")));
  to.push_back(value(of + "the same, `spawn_async`", figure(off_the_loop, "p50_call_200"), at_most(10)));
  to.push_back(value(of + "the same, the least: three descriptors copied, a thread woken",
                     figure(off_the_loop, "p50_bare_call")));
  to.push_back(value(of + "the call, p99, `spawn_async`", figure(off_the_loop, "p99_call_200"), at_most(80)));
}

}  // namespace

plan spawning_plan() {
  plan all;
  part floods{.scenarios = {}, .engines = {on_the_loop, off_the_loop}, .lives = {0}};
  for (const scenario& one : flood_scenarios()) floods.scenarios.push_back(one.name);
  all.parts = {floods};
  return all;
}

void print_spawning(std::ostream& out, const records& all) {
  print_source(out, all, "./dev bench spawning");
  std::vector<table_line> table;
  for (const scenario& one : flood_scenarios()) add(table, one.name);
  print_markdown(out, all, table);
}

}  // namespace bench
