// A scenario: what is done with the children, the same for every engine. One file each in scenarios/.
//
//     const scenario* wanted = find_scenario("latency");
//     wanted->run(cell);                // adds figures to the cell; throws skip with the reason
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

class cell;
struct engine_entry;

// A precondition fails: no figure, and the report says why.
class skip : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A column of the table on the terminal. The JSON has all metrics.
struct column {
  std::string metric;
  std::string title;
};

struct scenario {
  std::string name;
  std::string about;       // a line for the report
  std::vector<int> lives;  // how many children, unless the command line says otherwise
  std::vector<column> columns;
  std::string base = "floor";    // the engine that others are divided by, round by round
  std::vector<column> ratios{};  // of these metrics
  std::function<int(int live, int samples)> extra_children;  // beside the live ones
  std::function<void(cell&)> run;
  int extra_at_once = 64;        // of the extra children, how many live at the same time at most
  int least_live = 0;            // with fewer it means nothing
  bool blocks_sigchld = false;   // from before the engine's start on
  bool looks_at_itself = false;  // measures the cell's own process: nothing for an engine that is a program
};

const std::vector<scenario>& scenario_catalogue();
const scenario* find_scenario(const std::string& name);

scenario latency_scenario();
scenario growth_scenario();
scenario burst_scenario();
scenario resting_scenario();
scenario memory_scenario();
scenario spawn_scenario();
scenario storm_scenario();
scenario sigchld_lost_scenario();
scenario big_parent_scenario();
std::vector<scenario> flood_scenarios();

}  // namespace bench
