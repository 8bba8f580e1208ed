#include "settings.hpp"

#include <CLI/CLI.hpp>
#include <cmath>

std::optional<int> settings::read(int argc, char** argv) {
  CLI::App app("Forks children, and is told of each as it ends, on a loop that goes on working.",
               "uvreap-demo");
  app.add_option("--children", children, "how many")->check(CLI::Range(1, 10000))->capture_default_str();
  app.add_option("--seconds", seconds, "how long the last child sleeps; those before it less, in equal steps")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_flag("--json", json, "print one JSON object a line");
  try {
    app.parse(argc, argv);
    if (std::isnan(seconds))
      throw CLI::ValidationError("--seconds", "Value nan is no number");  // in any range
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // CLI11 has a number above 100 for each error
  }
  return {};
}
