#include "runner.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <system_error>

#include "clock.hpp"
#include "engine.hpp"
#include "limits.hpp"
#include "scenario.hpp"

namespace bench {
namespace {

volatile sig_atomic_t interrupted = 0;

struct place {
  const scenario* what;
  const engine_entry* engine;
  int live;
  int round;
};

// ---- A cell's process

std::vector<std::string> command_of(const place& at, const plan& plan) {
  std::vector<std::string> words = {"/proc/self/exe", "cell",
                                    "--scenario",     at.what->name,
                                    "--engine",       at.engine->name,
                                    "--live",         std::to_string(at.live),
                                    "--samples",      std::to_string(plan.samples),
                                    "--seconds",      std::to_string(plan.seconds)};
  for (const std::string& fault : plan.plants) {
    words.push_back("--plant");
    words.push_back(fault);
  }
  return words;
}

pid_t start(std::vector<std::string> words, int* answers) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  *answers = ends[0];
  if (error != 0) throw std::system_error(error, std::generic_category(), "posix_spawn of a cell");
  return pid;
}

// What the cell printed until it closed its end; empty if its time ran out or we were interrupted.
std::string read_answer(int from, double seconds) {
  std::string text;
  std::int64_t until = now() + static_cast<std::int64_t>(seconds * 1e9);
  while (interrupted == 0) {
    std::int64_t left = until - now();
    if (left <= 0) break;
    pollfd readable{.fd = from, .events = POLLIN, .revents = 0};
    // Not for ever: a Ctrl-C that comes right before poll is seen a little later.
    if (::poll(&readable, 1, static_cast<int>(std::min<std::int64_t>(left / 1'000'000 + 1, 200))) <= 0)
      continue;
    char part[65536];
    ssize_t size = ::read(from, part, sizeof(part));
    if (size == 0) return text;
    if (size > 0) text.append(part, static_cast<std::size_t>(size));
  }
  return {};
}

// The children of a cell that ended are ours, since we are the subreaper: none is left when this returns.
int reap_all(pid_t cell) {
  int status = 0;
  for (;;) {
    int other = 0;
    pid_t pid = ::waitpid(-1, &other, 0);
    if (pid == cell) status = other;
    if (pid < 0 && errno != EINTR) return status;
  }
}

// One JSON object: figures, or skip, or error.
nlohmann::json answer_of(const place& at, const plan& plan) {
  int answers = -1;
  pid_t cell = start(command_of(at, plan), &answers);
  std::string text = read_answer(answers, plan.time_limit);
  if (text.empty()) ::kill(cell, SIGKILL);  // its children die with it
  ::close(answers);
  int status = reap_all(cell);
  if (interrupted != 0) return {{"error", "interrupted"}};
  auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_object()) return parsed;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    char what[80];
    std::snprintf(what, sizeof(what), "hangs: no answer within %g s", plan.time_limit);
    return {{"error", what}};
  }
  return {{"error", "the cell ended without an answer, wait status " + std::to_string(status)}};
}

// ---- The order

std::vector<const engine_entry*> engines_of(const part& part) {
  std::vector<const engine_entry*> engines;
  for (const std::string& name : part.engines) {
    for (const auto& entry : engine_catalogue()) {
      if (entry.name == name) engines.push_back(&entry);
    }
  }
  return engines;
}

void add_round(std::vector<place>& to, const part& part, int round) {
  auto engines = engines_of(part);
  for (const std::string& name : part.scenarios) {
    const scenario* what = find_scenario(name);
    for (int live : part.lives.empty() ? what->lives : part.lives) {
      if (live < what->least_live) continue;
      for (std::size_t turn = 0; turn < engines.size(); ++turn) {
        auto whose = (turn + static_cast<std::size_t>(round)) % engines.size();
        to.push_back({what, engines[whose], live, round});
      }
    }
  }
}

// All that is measured is measured once in each round, and the engines take turns, beginning with another one
// each round: what changes on the machine meanwhile hits all alike.
std::vector<place> places_of(const plan& plan) {
  std::vector<place> all;
  for (int round = 0; round < plan.rounds; ++round) {
    for (const part& one : plan.parts) add_round(all, one, round);
  }
  return all;
}

std::string refusal(const place& at, const plan& plan) {
  if (!at.engine->make) return at.engine->absent;
  if (at.engine->program && at.what->looks_at_itself) {
    return "what is measured is the bench's own process, and " + at.engine->name + " is another program";
  }
  if (at.engine->program && !plan.plants.empty()) return "a fault is planted in the bench's own process only";
  long children = at.live + at.what->extra_children(at.live, plan.samples);
  children = std::min<long>(children, at.live + at.what->extra_at_once);
  limit most = children_limit();
  most.most /= 1 + at.engine->threads_per_child;  // it counts threads, too
  if (std::string why = too_many(children, most); !why.empty()) return why;
  return too_many(children, descriptor_limit(at.engine->descriptors_per_child));
}

// ---- Records

record record_at(const place& at, const std::string& metric, const std::string& unit, nlohmann::json value) {
  const std::string& version = at.engine->version;
  return {at.what->name, at.engine->name, version, at.live, metric, unit, std::move(value), at.round};
}

record with_version_of(const nlohmann::json& answer, record one) {
  one.version = answer.value("version", one.version);
  return one;
}

void say(std::size_t done, std::size_t all, const place& at, const std::string& what) {
  std::fprintf(stderr, "[%zu/%zu] %s, %d live, round %d, %s: %s\n", done, all, at.what->name.c_str(), at.live,
               at.round + 1, at.engine->name.c_str(), what.c_str());
}

std::string in_short(const scenario& what, const nlohmann::json& figures) {
  for (const auto& one : figures) {
    if (one["metric"] != what.columns.front().metric) continue;
    char text[80];
    std::snprintf(text, sizeof(text), "%s %.1f", what.columns.front().title.c_str(),
                  one["value"].get<double>());
    return text;
  }
  return "done";
}

void add(outcome& to, const place& at, const nlohmann::json& answer, std::size_t done, std::size_t all) {
  if (answer.contains("figures")) {
    for (const auto& one : answer["figures"]) {
      to.all.push_back(with_version_of(answer, record_at(at, one["metric"], one["unit"], one["value"])));
    }
    if (answer.contains("left_out")) to.all.push_back(record_at(at, "skipped", "text", answer["left_out"]));
    say(done, all, at, in_short(*at.what, answer["figures"]));
    return;
  }
  bool skipped = answer.contains("skip");
  std::string why = skipped ? answer["skip"] : answer["error"];
  to.all.push_back(record_at(at, skipped ? "skipped" : "failed", "text", why));
  if (!skipped) ++to.failed;
  say(done, all, at, (skipped ? "SKIP: " : "FAILED: ") + why);
}

class interruptible {
 public:
  interruptible() {
    struct sigaction wanted {};
    wanted.sa_handler = [](int) { interrupted = 1; };  // without SA_RESTART: poll comes back
    ::sigaction(SIGINT, &wanted, &interrupt_);
    ::sigaction(SIGTERM, &wanted, &terminate_);
  }
  ~interruptible() {
    ::sigaction(SIGINT, &interrupt_, nullptr);
    ::sigaction(SIGTERM, &terminate_, nullptr);
  }
  interruptible(const interruptible&) = delete;
  interruptible& operator=(const interruptible&) = delete;

 private:
  struct sigaction interrupt_ {};
  struct sigaction terminate_ {};
};

}  // namespace

outcome run(const plan& plan) {
  interruptible scope;
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  outcome result;
  auto places = places_of(plan);
  std::size_t done = 0;
  for (const place& at : places) {
    ++done;
    std::string why = refusal(at, plan);
    auto answer = why.empty() ? answer_of(at, plan) : nlohmann::json{{"skip", why}};
    if (interrupted != 0) {
      result.interrupted = true;
      break;
    }
    add(result, at, answer, done, places.size());
  }
  return result;
}

}  // namespace bench
