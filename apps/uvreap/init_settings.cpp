#include "init_settings.hpp"

#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>
#include <string_view>

#include "../shared/backend_option.hpp"

namespace pid1 {
namespace {

constexpr const char* about =
    "Runs CMD as PID 1 of a container should: hands signals on to it, gives it the terminal, reaps every "
    "orphan, ends what it leaves behind, and exits as it exited.";

bool is_forwarded(int signum) {
  // The first two reach no handler, the third is about our own children, and the C library keeps two for
  // itself.
  for (int never : {SIGKILL, SIGSTOP, SIGCHLD, 32, 33}) {
    if (signum == never) return false;
  }
  return signum >= 1 && signum < NSIG;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const char* end = text.data() + text.size();
  auto [parsed, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || parsed != end || value < 0) return {};
  return value;
}

void add_rewrite(const std::string& text, std::map<int, int>& rewrites) {
  auto refuse = [&text](const std::string& why) { throw CLI::ValidationError("--rewrite " + text, why); };
  auto colon = text.find(':');
  if (colon == std::string::npos) refuse("is not FROM:TO, two signal numbers");
  auto from = number(std::string_view(text).substr(0, colon));
  auto to = number(std::string_view(text).substr(colon + 1));
  if (!from || !to) refuse("is not FROM:TO, two signal numbers");
  if (!is_forwarded(*from)) refuse("there is no signal " + std::to_string(*from) + " to forward");
  if (*to >= NSIG) refuse("there is no signal " + std::to_string(*to));
  if (!rewrites.emplace(*from, *to).second) refuse("signal " + std::to_string(*from) + " has two rewrites");
}

// The command begins at the first word that is no option of ours, or behind "--".
std::vector<std::string> command_of(std::vector<std::string> words) {
  if (words.empty()) throw CLI::RequiredError("CMD");
  if (words.front() == "--") {
    words.erase(words.begin());
  } else if (words.front().size() > 1 && words.front().front() == '-') {
    throw CLI::ExtrasError("uvreap init", {words.front()});
  }
  if (words.empty()) throw CLI::RequiredError("CMD");
  return words;
}

// CLI11 knows nothing of the command, and shows what the value of a flag is when there is none.
struct formatter : CLI::Formatter {
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: uvreap init [OPTIONS] [--] CMD ARG...\n";
  }
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    if (option->check_lname("stats")) return "--stats[=FILE]";
    return CLI::Formatter::make_option_name(option, is_positional);
  }
};

std::optional<int> print_help(const CLI::App& app) {
  std::string text = app.help();
  for (std::size_t at = 0; at < text.size();) {
    ssize_t written = ::write(STDOUT_FILENO, text.data() + at, text.size() - at);
    if (written < 0) {
      std::fprintf(stderr, "uvreap init: cannot write to stdout: %s\n", std::strerror(errno));
      return own_error;
    }
    at += static_cast<std::size_t>(written);
  }
  return 0;
}

}  // namespace

std::optional<int> settings::read(int argc, char** argv) {
  CLI::App app(about, "uvreap init");
  app.formatter(std::make_shared<formatter>());
  double seconds = std::chrono::duration<double>(grace).count();
  std::vector<std::string> wanted;
  app.prefix_command();
  app.add_flag("-g", to_group, "forward signals to the child's process group, not to the child alone");
  app.add_flag("-s", is_subreaper, "reap the orphans of descendants where this is not PID 1");
  app.add_flag("-w", warns, "say on stderr of each orphan that was reaped how it ended");
  app.add_option("-r,--rewrite", wanted, "forward signal FROM as signal TO; TO 0: do not; may be repeated")
      ->option_text("FROM:TO")
      ->allow_extra_args(false);
  app.add_option("--grace", seconds, "how long what is left at the end has, from SIGTERM to SIGKILL")
      ->option_text("SECONDS")
      ->check(CLI::Range(0.0, 86400.0).description(""));
  app.add_flag("--stats{-}", stats, "at the end, one JSON object to stderr or the file");
  add_backend_option(app, backend);
  try {
    app.parse(argc, argv);
    if (std::isnan(seconds)) throw CLI::ValidationError("--grace", "Value nan is no number");  // in any range
    for (const std::string& one : wanted) add_rewrite(one, rewrites);
    command = command_of(app.remaining());
  } catch (const CLI::CallForHelp&) {
    return print_help(app);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "uvreap init: %s\nuvreap init --help lists the options\n", error.what());
    return own_error;
  }
  grace = std::chrono::milliseconds(std::llround(seconds * 1000));
  return {};
}

}  // namespace pid1
