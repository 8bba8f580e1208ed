#include "run_settings.hpp"

#include <uv.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string_view>

#include "../shared/backend_option.hpp"
#include "../shared/visible_text.hpp"
#include "measures.hpp"
#include "places.hpp"
#include "throttle.hpp"
#include "words.hpp"

namespace {

using strings = std::vector<std::string>;

CLI::Option* add_time_option(CLI::App& app, const std::string& name, std::chrono::milliseconds& time,
                             const std::string& what) {
  auto read = [&time, name](const std::string& text) {
    auto given = time_from(text);
    if (!given) throw CLI::ValidationError(name, text + " is no time: 1.5 (seconds), 90s, 5m, 2h or 1d");
    time = *given;
  };
  return app.add_option_function<std::string>(name, read, what)->option_text("TIME");
}

void read_places(const std::string& text, int& at_once) {
  auto places = places_from(text, static_cast<int>(uv_available_parallelism()));
  if (!places) throw CLI::ValidationError("--jobs", text + " is none of N, +N, N% and 0");
  at_once = *places;
}

bool is_separator(const std::string& word) {
  if (word == ":::+" || word == "::::+")
    throw CLI::ValidationError(word, "there are only combinations: ::: and ::::");
  return word == ":::" || word == "::::";
}

// What is behind "--", as GNU parallel has it: a command, and behind each ":::" words, behind each "::::"
// files.
void read_command(const strings& all, run_settings& settings) {
  auto separator = std::find_if(all.begin(), all.end(), is_separator);
  settings.command.assign(all.begin(), separator);
  while (separator != all.end()) {
    auto end = std::find_if(separator + 1, all.end(), is_separator);
    strings list(separator + 1, end);
    if (*separator == ":::") {
      settings.arguments.push_back({.words = std::move(list), .file = {}});
    } else {
      if (list.empty()) throw CLI::ValidationError("::::", "no file after it");
      for (std::string& file : list) settings.arguments.push_back({.words = {}, .file = std::move(file)});
    }
    separator = end;
  }
}

// asks_for_many: without a list of arguments they come from standard input.
void check_jobs(run_settings& settings, bool has_dashes, bool asks_for_many) {
  strings& lists = settings.lists;
  auto& arguments = settings.arguments;
  if (std::any_of(lists.begin(), lists.end(), is_separator))
    throw CLI::ValidationError(":::", "comes behind a command: -- CMD ARG... ::: ARG...");
  if (has_dashes && settings.command.empty()) throw CLI::ValidationError("--", "no command after it");
  if (!has_dashes && !arguments.empty())
    throw CLI::ValidationError("--arg-file", "its arguments are for a command: -- CMD ARG...");
  if (has_dashes != lists.empty())
    throw CLI::ValidationError("uvreap run", has_dashes ? "a list, or -- and a command, but not both"
                                                        : "no list, and no -- with a command");
  if (has_dashes && arguments.empty() && asks_for_many) arguments.push_back({.words = {}, .file = "-"});
  auto is_input = [](const argument_list& list) { return list.file == "-"; };
  if (std::count(lists.begin(), lists.end(), "-") +
          std::count_if(arguments.begin(), arguments.end(), is_input) >
      1)
    throw CLI::ValidationError("-", "standard input can be read only once");
}

}  // namespace

std::optional<int> run_settings::read(int argc, char** argv) {
  CLI::App app("Runs one command and says what it cost, or a list of them, so many at once.", "uvreap run");
  app.footer(
      "uvreap run [OPTIONS] -- CMD ARG...              one command, with our input and output\n"
      "uvreap run [OPTIONS] -- CMD ARG... ::: ARG...   CMD once for each ARG behind :::\n"
      "uvreap run [OPTIONS] -a FILE -- CMD ARG...      CMD once for each line of FILE\n"
      "uvreap run [OPTIONS] -0|-j N -- CMD ARG...      the same, of standard input\n"
      "uvreap run [OPTIONS] FILE...                    lists of commands\n\n"
      "A list of commands has one a line, or a JSON object a line, or is one JSON array. In CMD {} is the\n"
      "argument, {.} without its extension, {/} without its directory, {/.} without both, {//} its\n"
      "directory, {#} the number of the job, {2} the argument of the second list. See uvreap-run(1).");

  app.option_defaults()->take_last();  // a script's option may be overridden behind it
  at_once = static_cast<int>(uv_available_parallelism());
  std::string where = "group";
  const std::map<std::string, sort_key> keys{{"number", sort_key::number}, {"name", sort_key::name},
                                             {"wall", sort_key::wall},     {"cpu", sort_key::cpu},
                                             {"rss", sort_key::rss},       {"status", sort_key::status}};

  app.add_option("lists", lists, "files with lists of commands; -: standard input")
      ->take_all()
      ->option_text("FILE...");
  auto* many = app.add_option_function<std::string>(
                      "-j,--jobs", [this](const std::string& text) { read_places(text, at_once); },
                      "how many run at once: N; +N more than there are CPUs; N% of the CPUs; 0: as many\n"
                      "as there is room for. Without it as many as there are CPUs")
                   ->option_text("N");
  strings argument_files;
  app.add_option("-a,--arg-file", argument_files, "read arguments from FILE, one a line; -: standard input")
      ->take_all()
      ->option_text("FILE")
      ->check([](const std::string& file) { return file.empty() ? "a file without a name" : ""; })
      ->allow_extra_args(false);
  bool by_nul = false;
  app.add_flag("-0,--null", by_nul, "in files with arguments each ends with a NUL, and not with its line");
  app.add_flag("--shell", by_shell, "sh reads the lines of lists, or the command");
  app.add_flag("--dry-run", dry_run, "print the commands, and run none");
  add_time_option(app, "--timeout", timeout,
                  "a job that runs longer is ended; 0: never. 1.5 (seconds), 90s, 5m, 2h, 1d");
  add_time_option(app, "--grace", grace, "from SIGTERM to SIGKILL; 5s without it");
  app.add_option("--retries", retries, "how often a failed job is tried again")
      ->check(CLI::Range(0, 1000).description(""))
      ->option_text("N");
  auto read_halt = [this](const std::string& text) {
    try {
      halt = halt_rule::from(text);
    } catch (const std::invalid_argument& error) {
      throw CLI::ValidationError("--halt", error.what());
    }
  };
  app.add_option_function<std::string>(
         "--halt", read_halt,
         "never: all jobs run (the default); soon: begin no more jobs after a failure;\n"
         "now: end those that run, too. soon,fail=N and now,fail=N: after N failures;\n"
         "also N%, success=N and done=N")
      ->option_text("WHEN");
  app.add_flag("-k,--keep-order", keep_order, "say what jobs wrote in the order of the list");
  app.add_flag("--tag", tag, "begin each line that a job wrote with the job's name and a tab");
  add_time_option(app, "--delay", delay, "from the begin of a job to that of the next");
  auto read_load = [this](const std::string& text) {
    load = places_from(text, static_cast<int>(uv_available_parallelism())).value_or(0);
    if (load == 0 || text == "0") throw CLI::ValidationError("--load", text + " is neither N nor N%");
  };
  app.add_option_function<std::string>("--load", read_load,
                                       "begin no job while N tasks run on this machine; N% of the CPUs")
      ->option_text("N");
  auto read_size = [this](const std::string& text) {
    auto size = size_from(text);
    if (!size) throw CLI::ValidationError("--memfree", text + " is no size: 64M, 2G");
    memory_free = *size;
  };
  app.add_option_function<std::string>("--memfree", read_size, "begin no job while less memory is free: 2G")
      ->option_text("SIZE");
  auto read_wrap = [this](const std::string& text) {
    try {
      wrap = words_of(text).all;
    } catch (const broken_line& error) {
      throw CLI::ValidationError("--wrap", error.what());
    }
  };
  app.add_option_function<std::string>("--wrap", read_wrap,
                                       "words before each command: 'srun -n1 --exclusive', 'nice -n 10'")
      ->option_text("WORDS");
  app.add_option("--output", where,
                 "group: what a job wrote when it has ended; lines: each line as it comes;\n"
                 "none: dropped; else a directory for NUMBER.out and NUMBER.err")
      ->option_text("group|lines|none|DIRECTORY");
  app.add_option("--joblog", job_log, "write a line for each job, in the columns of GNU parallel")
      ->option_text("FILE");
  app.add_flag("--resume", resume, "do not run again what the job log has");
  app.add_flag("--resume-failed", resume_failed, "the same, but run again what failed");
  app.add_option("--sort", sort, "a table at the end, in this order")
      ->transform(CLI::CheckedTransformer(keys).description(""))
      ->option_text("number|name|wall|cpu|rss|status");
  app.add_option("--rows", rows, "of that table; 20 without it")
      ->check(CLI::Range(0, 100'000).description(""))
      ->option_text("N");
  app.add_flag("--json", json, "say everything as JSON, an object a line, on standard output");
  app.add_flag("-q,--quiet", quiet, "say nothing but errors");
  add_backend_option(app, backend);

  app.set_version_flag("--version", "uvreap " UVREAP_VERSION, "print the version");
  app.set_help_flag("-h,--help", "print this");

  char** dashes =
      std::find_if(argv + 1, argv + argc, [](const char* word) { return std::string_view(word) == "--"; });
  try {
    app.parse(static_cast<int>(dashes - argv), argv);
    bool has_dashes = dashes != argv + argc;
    for (std::string& file : argument_files) arguments.push_back({.words = {}, .file = std::move(file)});
    if (has_dashes) read_command(strings(dashes + 1, argv + argc), *this);
    if (!has_dashes && by_nul) throw CLI::ValidationError("-0", "is for the arguments of a command");
    check_jobs(*this, has_dashes, by_nul || !many->empty());
    if ((resume || resume_failed) && job_log.empty())
      throw CLI::ValidationError("--resume", "of what? --joblog FILE names the log");
    if (by_nul) argument_end = '\0';
    if (is_one_command() && where != "group" && where != "lines")
      throw CLI::ValidationError("--output", "a single command has our own output");
  } catch (const CLI::Success& asked) {
    app.exit(asked);
    return std::cout.flush().good() ? 0 : our_error;
  } catch (const CLI::ParseError& error) {
    std::cerr << visible_text(error.what()) << "\nRun with --help for more information.\n";
    return our_error;
  }
  const std::map<std::string, output_mode> modes{
      {"group", output_mode::group}, {"lines", output_mode::lines}, {"none", output_mode::none}};
  auto mode = modes.find(where);
  output = mode == modes.end() ? output_mode::files : mode->second;
  if (output == output_mode::files) directory = where;
  return {};
}
