#include "settings.hpp"

#include <getopt.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "signal_text.hpp"

namespace pid1 {
namespace {

constexpr const char* usage = " [OPTIONS] [--] CMD ARG...";

constexpr const char* help =
    "\n"
    "Runs CMD as process 1 of a container should: hands signals on to it, gives it the terminal, reaps "
    "every\n"
    "orphan, ends what it leaves behind, and exits as it exited.\n"
    "\n"
    "  -g                    hand signals on to the command's process group, not to the command alone\n"
    "  -c, --single-child    hand signals on to the command alone, in the group that it leads\n"
    "  -s                    reap the orphans of descendants where this is not process 1\n"
    "  -r, --rewrite FROM:TO hand signal FROM on as signal TO; TO 0: not at all; may be repeated\n"
    "  -e CODE               exit with 0 if the command exited with CODE; may be repeated\n"
    "  -p SIGNAL             get SIGNAL when the parent of this process ends\n"
    "  -P                    run no command: reap until SIGTERM or SIGINT comes\n"
    "  -w                    say on stderr of each orphan that was reaped how it ended\n"
    "  -v, --verbose         say on stderr what happens\n"
    "  --grace SECONDS       how long what is left at the end has, from SIGTERM to SIGKILL (5)\n"
    "  --stats[=FILE]        at the end, write one JSON object to stderr or to the file\n"
    "  --backend KIND        how the reaper learns that the command ended: peek, pidfd, ring or automatic "
    "(peek)\n"
    "  -l, -L                say under which licence this is\n"
    "  -V, --version         say which version this is\n"
    "  -h, --help            list the options\n"
    "\n"
    "Signals are numbers or names: 15, TERM, SIGTERM, RTMIN+1. Called as tini, docker-init, dumb-init or\n"
    "catatonit it behaves as that program, and reads its environment variables.\n";

enum option_without_letter { grace_option = 1000, stats_option, backend_option };

constexpr const char* letters = "+:gcsr:e:p:PwvlLVh";  // + ends at the first word, : tells a missing value
constexpr option words[] = {
    {"single-child", no_argument, nullptr, 'c'},
    {"rewrite", required_argument, nullptr, 'r'},
    {"verbose", no_argument, nullptr, 'v'},
    {"grace", required_argument, nullptr, grace_option},
    {"stats", optional_argument, nullptr, stats_option},
    {"backend", required_argument, nullptr, backend_option},
    {"version", no_argument, nullptr, 'V'},
    {"help", no_argument, nullptr, 'h'},
    {nullptr, 0, nullptr, 0},
};

constexpr std::pair<const char*, uvreap::backend_kind> backends[] = {
    {"automatic", uvreap::backend_kind::automatic},
    {"ring", uvreap::backend_kind::ring},
    {"pidfd", uvreap::backend_kind::pidfd},
    {"peek", uvreap::backend_kind::peek},
};

bool is_forwarded(int signum) {
  // The first two reach no handler, the third is about our own children, and the C library keeps two for
  // itself.
  for (int never : {SIGKILL, SIGSTOP, SIGCHLD, 32, 33}) {
    if (signum == never) return false;
  }
  return signum >= 1 && signum < NSIG;
}

std::optional<std::chrono::milliseconds> milliseconds_of(const char* text) {
  char* end = nullptr;
  double seconds = std::strtod(text, &end);
  constexpr double longest = 86400;
  bool is_number = end != text && *end == '\0' && seconds >= 0 && seconds <= longest;  // so not NaN, either
  if (!is_number) return {};
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

int print(const std::string& text, writer& errors, int status_if_not) {
  writer output(STDOUT_FILENO, {});
  if (output.write(text, std::chrono::hours(1))) return 0;
  errors.say("cannot write to stdout: " + std::string(uv_strerror(-output.error())));
  return status_if_not;
}

bool is_1(const char* value) { return value != nullptr && std::string_view(value) == "1"; }

}  // namespace

settings::settings(personality whom) : as(std::move(whom)) {
  if (as.speaks != dialect::own) grace.reset();
  if (as.speaks == dialect::dumb_init) to_group = in_session = true, verbosity = 0;
  if (as.speaks == dialect::catatonit) is_subreaper = ::getpid() != 1;
  read_environment();
}

void settings::read_environment() {
  if (as.speaks == dialect::tini) {
    is_subreaper = std::getenv("TINI_SUBREAPER") != nullptr;
    to_group = std::getenv("TINI_KILL_PROCESS_GROUP") != nullptr;
    if (const char* level = std::getenv("TINI_VERBOSITY")) verbosity = std::atoi(level);
  }
  if (as.speaks == dialect::dumb_init) {
    const char* in_setsid = std::getenv("DUMB_INIT_SETSID");
    if (in_setsid != nullptr && std::string_view(in_setsid) == "0") to_group = in_session = false;
    if (is_1(std::getenv("DUMB_INIT_DEBUG"))) verbosity = 2;
  }
}

std::string settings::add_rewrite(const std::string& text) {
  auto colon = text.find(':');
  std::string_view all(text);
  auto from = signal_of(all.substr(0, colon));
  auto to = signal_of(colon == std::string::npos ? std::string_view() : all.substr(colon + 1));
  if (!from || !to) return "--rewrite " + text + ": is not FROM:TO, two signals";
  if (as.speaks == dialect::dumb_init) {  // which takes the last, and any signal
    rewrites.insert_or_assign(*from, *to);
    return {};
  }
  if (!is_forwarded(*from))
    return "--rewrite " + text + ": there is no " + signal_text(*from) + " to hand on";
  if (!rewrites.emplace(*from, *to).second)
    return "--rewrite " + text + ": " + signal_text(*from) + " has two rewrites";
  return {};
}

std::string settings::take(int option, const char* value) {
  std::string text = value != nullptr ? value : "";
  switch (option) {
    case 'g':
      to_group = true;
      return {};
    case 'c':
      to_group = in_session = false;
      return {};
    case 's':
      is_subreaper = true;
      return {};
    case 'w':
      warns = true;
      return {};
    case 'v':
      verbosity = std::max(2, verbosity + 1);
      return {};
    case 'r':
      return add_rewrite(text);
    case 'e': {
      auto code = number_of(text);
      if (!code || *code > 255) return "-e " + text + ": is not an exit code, 0 to 255";
      told_as_0.insert(*code);
      return {};
    }
    case 'p': {
      auto signum = signal_of(text);
      if (!signum || *signum == 0) return "-p " + text + ": is no signal";
      parent_death_signal = *signum;
      return {};
    }
    case grace_option:
      grace = milliseconds_of(value);
      return grace ? "" : "--grace " + text + ": is not a number of seconds, 0 to 86400";
    case stats_option:
      stats = value != nullptr ? text : "-";
      return stats.empty() ? "--stats=: names no file" : "";
    case backend_option:
      for (const auto& [name, kind] : backends) {
        if (text == name) return backend = kind, "";
      }
      return "--backend " + text + ": is none of peek, pidfd, ring, automatic";
    case ':':
      return "an option without its value";
    default:
      return "no such option";
  }
}

std::optional<int> settings::read(int argc, char** argv, writer& errors) {
  bool pauses = false;
  std::string wrong;
  ::opterr = 0;
  ::optind = 1;
  for (int option = 0; wrong.empty();) {
    int at = ::optind;
    option = ::getopt_long(argc, argv, letters, words, nullptr);
    if (option == -1) break;
    if (option == 'h') return print("Usage: " + as.name + usage + '\n' + help, errors, as.own_error);
    if (option == 'V') return print(as.version + '\n', errors, as.own_error);
    if (option == 'l' || option == 'L') return print(as.name + ": MIT licence\n", errors, as.own_error);
    if (option == 'P') {
      pauses = true;
      continue;
    }
    wrong = take(option, ::optarg);
    if (option == ':' || option == '?') wrong.insert(0, std::string(argv[at]) + ": ");
  }
  command.assign(argv + ::optind, argv + argc);
  if (pauses && as.speaks == dialect::catatonit) command.clear();  // which takes no notice of the words
  if (wrong.empty() && pauses != command.empty()) wrong = pauses ? "-P runs no command" : "no command";
  if (wrong.empty()) return {};
  errors.say(wrong);
  (void)errors.write("Usage: " + as.name + usage + "\n" + as.name + " --help lists the options\n");
  return as.bad_usage;
}

const char* name_of(uvreap::backend_kind wanted) {
  for (const auto& [name, kind] : backends) {
    if (kind == wanted) return name;
  }
  return "unknown";
}

}  // namespace pid1
