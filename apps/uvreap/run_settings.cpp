#include "run_settings.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <string_view>
#include <thread>

#include "../shared/backend_option.hpp"

namespace {

constexpr double longest_seconds = 1e9;

std::chrono::milliseconds from_seconds(double seconds) {
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

// never, or soon and now with ",fail=N": as GNU parallel says it.
void read_halt(const std::string& text, run_settings& settings) {
  std::size_t comma = text.find(',');
  std::string when = text.substr(0, comma);
  int failed = 1;
  if (comma != std::string::npos) {
    std::string rest = text.substr(comma + 1);
    if (rest.rfind("fail=", 0) != 0 || !CLI::detail::lexical_cast(rest.substr(5), failed) || failed < 1)
      throw CLI::ValidationError("--halt", "after the comma must follow fail=N, with N from 1: " + text);
  }
  if (when != "soon" && when != "now" && !(when == "never" && comma == std::string::npos))
    throw CLI::ValidationError("--halt", "is never, soon or now, and the last two may have ,fail=N: " + text);
  settings.halt_after = when == "never" ? 0 : failed;
  settings.halt_now = when == "now";
}

}  // namespace

std::optional<int> run_settings::read(int argc, char** argv) {
  CLI::App app("Runs one command and says what it cost, or a list of them, so many at once.", "uvreap run");
  app.footer(
      "uvreap run [OPTIONS] -- CMD ARG...   one command\n"
      "uvreap run [OPTIONS] FILE           a list of commands, - is standard input\n\n"
      "The list: a command a line, or a JSON object a line, or one JSON array. See uvreap-run(1).");

  at_once = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  double timeout_s = 0;
  double grace_s = 5;
  std::string halt;
  std::string where = "group";
  bool keep_going = false;
  auto seconds = CLI::Range(0.0, longest_seconds);
  const std::map<std::string, sort_key> keys{{"number", sort_key::number}, {"name", sort_key::name},
                                             {"wall", sort_key::wall},     {"cpu", sort_key::cpu},
                                             {"rss", sort_key::rss},       {"status", sort_key::status}};

  app.add_option("list", list, "the file with the list; -: standard input")->option_text("FILE");
  app.add_option("-j,--jobs", at_once, "how many run at once")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--timeout", timeout_s, "seconds after which a job is ended; 0: never")->check(seconds);
  app.add_option("--grace", grace_s, "seconds from SIGTERM to SIGKILL")
      ->check(seconds)
      ->capture_default_str();
  app.add_option("--retries", retries, "how often a failed job is tried again")->check(CLI::Range(0, 1000));
  auto* keep =
      app.add_flag("-k,--keep-going", keep_going, "begin new jobs after a failure too: --halt never");
  app.add_option("--halt", halt,
                 "never; soon: begin no more jobs after a failure (the default); now: end those\n"
                 "that run too. soon,fail=N and now,fail=N wait for N failures")
      ->excludes(keep);
  app.add_option("--output", where,
                 "group: what a job wrote when it has ended; lines: each line as it comes;\n"
                 "none: dropped; else a directory for NUMBER.out and NUMBER.err")
      ->capture_default_str();
  app.add_option("--sort", sort, "a table at the end, by number, name, wall, cpu, rss or status")
      ->transform(CLI::CheckedTransformer(keys).description(""))
      ->option_text("KEY");
  app.add_option("--rows", rows, "of that table")->check(CLI::Range(0, 100'000))->capture_default_str();
  app.add_flag("--json", json, "say everything as JSON, an object a line, on standard output");
  app.add_flag("-q,--quiet", quiet, "say nothing but errors");
  add_backend_option(app, backend);

  char** dashes =
      std::find_if(argv + 1, argv + argc, [](const char* word) { return std::string_view(word) == "--"; });
  try {
    app.parse(static_cast<int>(dashes - argv), argv);
    for (double value : {timeout_s, grace_s}) {
      if (std::isnan(value)) throw CLI::ValidationError("a time", "nan is no number");  // in any range
    }
    bool has_dashes = dashes != argv + argc;
    if (has_dashes) command.assign(dashes + 1, argv + argc);
    if (has_dashes && command.empty()) throw CLI::ValidationError("--", "no command after it");
    if (has_dashes != list.empty())
      throw CLI::ValidationError("uvreap run", has_dashes ? "a list, or -- and a command, but not both"
                                                          : "no list, and no -- with a command");
    if (keep_going) halt_after = 0;
    if (!halt.empty()) read_halt(halt, *this);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 255;  // CLI11 has a number of its own for each error
  }
  timeout = from_seconds(timeout_s);
  grace = from_seconds(grace_s);
  const std::map<std::string, output_mode> modes{
      {"group", output_mode::group}, {"lines", output_mode::lines}, {"none", output_mode::none}};
  auto mode = modes.find(where);
  output = mode == modes.end() ? output_mode::files : mode->second;
  if (output == output_mode::files) directory = where;
  return {};
}
