#include "speed.hpp"

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "table.hpp"

namespace bench {
namespace {

using lines = std::vector<table_line>;

const std::string always = "uvreap-automatic";
const std::string when_needed = "uvreap-automatic-when-needed";

series latency(int live, const std::string& engine, const std::string& metric = "p50") {
  return {"latency", live, engine, metric};
}

std::string with(int live) { return live < 1000 ? "0 live" : std::to_string(live / 1000) + " 000 live"; }

void add_against_others(lines& to) {
  const std::vector<std::pair<int, double>> needed = {{0, 1.06}, {1000, 1.10}, {8000, 1.10}};
  for (auto [live, most] : needed) {
    to.push_back(ratio("p50, when needed over `by_hand`, " + with(live), latency(live, when_needed),
                       latency(live, "by_hand"), at_most(most)));
  }
  const std::vector<std::pair<int, double>> usual = {{0, 1.16}, {1000, 1.20}, {8000, 1.20}};
  for (auto [live, most] : usual) {
    to.push_back(ratio("p50, always over `by_hand`, " + with(live), latency(live, always),
                       latency(live, "by_hand"), at_most(most)));
  }
  const std::vector<std::pair<int, double>> reaped = {{0, 1.00}, {1000, 1.03}, {8000, 1.00}};
  for (auto [live, most] : reaped) {
    to.push_back(ratio("p50, when needed over sd-event until it has reaped, " + with(live),
                       latency(live, when_needed), latency(live, "sd_event", "p50_reaped"), at_most(most)));
  }
  struct peer {
    const char* name;
    double when_needed;
    double always;
  };
  for (const peer& other : {peer{"uv_spawn", 0.96, 1.05}, peer{"libev", 1.04, 1.12}}) {
    std::string over = std::string(" over `") + other.name + "`, 0 live";
    series theirs = latency(0, other.name);
    to.push_back(
        ratio("p50, when needed" + over, latency(0, when_needed), theirs, at_most(other.when_needed)));
    to.push_back(ratio("p50, always" + over, latency(0, always), theirs, at_most(other.always)));
  }
}

void add_own_share(lines& to) {
  struct pair {
    const char* uvreap;
    const char* lean;
  };
  for (const pair& one :
       {pair{"uvreap-ring-when-needed", "lean_ring"}, pair{"uvreap-ring", "lean_ring_sigchld"},
        pair{"uvreap-pidfd-when-needed", "lean_epoll"}, pair{"uvreap-pidfd", "lean_epoll_sigchld"}}) {
    std::string over = std::string("`") + one.uvreap + "` over `" + one.lean + "`, 0 live";
    for (const auto& [metric, title] : {std::pair{"p50", "p50, "}, std::pair{"cpu_per_child", "CPU, "}}) {
      to.push_back(ratio("own share: " + (title + over), latency(0, one.uvreap, metric),
                         latency(0, one.lean, metric), at_most(1.03)));
    }
  }
}

void add_costs(lines& to) {
  auto cpu = [](int live, const std::string& engine) { return latency(live, engine, "cpu_per_child"); };
  to.push_back(ratio("CPU per exit, when needed over `by_hand`, 0 live", cpu(0, when_needed),
                     cpu(0, "by_hand"), at_most(1.08)));
  to.push_back(
      ratio("CPU per exit, always over `by_hand`, 0 live", cpu(0, always), cpu(0, "by_hand"), at_most(1.29)));
  struct calls {
    const char* title;
    const std::string& engine;
    double alone;
    double among_8000;
  };
  for (const calls& one : {calls{"when needed", when_needed, 7, 10}, calls{"always", always, 11, 14}}) {
    for (int live : {0, 8000}) {
      to.push_back(value("system calls per exit, " + (one.title + (", " + with(live))),
                         latency(live, one.engine, "syscalls_per_child"),
                         at_most(live == 0 ? one.alone : one.among_8000)));
    }
  }
  to.push_back(
      ratio("flat: CPU per exit, 8 000 live over 0 live", cpu(8000, always), cpu(0, always), at_most(1.10)));
  to.push_back(ratio("flat: wall per exit, 8 000 live over 0 live", latency(8000, always, "wall_per_child"),
                     latency(0, always, "wall_per_child"), at_most(1.10)));
}

void add_bursts(lines& to) {
  for (int live : {2000, 8000}) {
    std::string of = "burst of " + std::to_string(live / 1000) + " 000: ";
    series mine = {"burst", live, always, "cpu_per_child"};
    to.push_back(ratio(of + "CPU per child over a bare `wait4` loop that makes the same probe", mine,
                       mine.of("probe_any_loop"), at_most(1.4)));
    to.push_back(ratio(of + "the same over one without the probe", mine, mine.of("wait_any_loop")));
    to.push_back(difference(of + "the probe alone, CPU per child in the bare loop", mine.of("probe_any_loop"),
                            mine.of("wait_any_loop")));
    series longest = {"burst", live, always, "longest_sweep"};
    to.push_back(ratio(of + "longest sweep over the longest run of `budget` calls of the bare loop", longest,
                       longest.of("wait_any_loop"), at_most(1.1)));
  }
}

void add_spawns(lines& to) {
  for (int live : {0, 8000}) {
    series mine = {"spawn", live, "uvreap-spawn", "p50"};
    to.push_back(ratio("`spawn` to exit, wall, over `posix_spawn` and `wait4` by hand, " + with(live), mine,
                       mine.of("floor"), at_most(1.05)));
  }
}

// What each part of the design costs, as the difference of two engines of the same rounds.
struct step {
  const char* what;
  std::pair<const char*, const char*> on_ring;  // the engine, and the one without it
  std::pair<const char*, const char*> on_pidfd;
};

const step steps[] = {
    {"a pidfd, a poll of libuv's and `wait4`", {"by_hand_at_once", ""}, {"by_hand_at_once", ""}},
    {"the second poll", {"by_hand", "by_hand_at_once"}, {"by_hand", "by_hand_at_once"}},
    {"the probe", {"by_hand_probed", "by_hand"}, {"by_hand_probed", "by_hand"}},
    {"the ring or the private set, instead of a `uv_poll_t` for each child",
     {"lean_ring", "by_hand_probed"},
     {"lean_epoll", "by_hand_probed"}},
    {"own code, when needed",
     {"uvreap-ring-when-needed", "lean_ring"},
     {"uvreap-pidfd-when-needed", "lean_epoll"}},
    {"SIGCHLD beside it", {"lean_ring_sigchld", "lean_ring"}, {"lean_epoll_sigchld", "lean_epoll"}},
    {"own code, always", {"uvreap-ring", "lean_ring_sigchld"}, {"uvreap-pidfd", "lean_epoll_sigchld"}},
};

void print_steps(std::ostream& out, const records& all) {
  out << "\nWhere it goes, with 0 live: medians of the differences between two engines of the same round. "
         "When needed is the first five, always the first four and the last two.\n\n"
         "| part | `ring`, p50 | CPU | `pidfd`, p50 | CPU |\n|---|---|---|---|---|\n";
  for (const step& one : steps) {
    out << "| " << one.what << " |";
    for (const auto& [engine, without] : {one.on_ring, one.on_pidfd}) {
      for (const char* metric : {"p50", "cpu_per_child"}) {
        series mine = latency(0, engine, metric);
        bool is_first = without[0] == '\0';
        out << ' ' << middle_of(all, is_first ? value("", mine) : difference("", mine, mine.of(without)))
            << " |";
      }
    }
    out << '\n';
  }
}

}  // namespace

plan speed_plan() {
  plan all;
  all.rounds = 15;
  all.samples = 100;
  all.parts = {
      {.scenarios = {"latency"},
       .engines = {"by_hand", always, when_needed, "uvreap-ring", "lean_ring_sigchld", "uvreap-pidfd",
                   "lean_epoll_sigchld", "uvreap-ring-when-needed", "lean_ring", "uvreap-pidfd-when-needed",
                   "lean_epoll", "by_hand_probed", "by_hand_at_once", "uv_spawn", "libev", "sd_event"},
       .lives = {0}},
      {.scenarios = {"latency"},
       .engines = {"by_hand", always, when_needed, "sd_event"},
       .lives = {1000, 8000}},
      {.scenarios = {"burst"}, .engines = {"wait_any_loop", "probe_any_loop", always}, .lives = {2000, 8000}},
      {.scenarios = {"spawn"}, .engines = {"floor", "uvreap-spawn"}, .lives = {0, 8000}},
  };
  return all;
}

void print_speed(std::ostream& out, const records& all) {
  print_source(out, all, "./dev bench speed");
  lines table;
  add_against_others(table);
  add_own_share(table);
  add_costs(table);
  add_bursts(table);
  add_spawns(table);
  print_markdown(out, all, table);
  print_steps(out, all);
}

}  // namespace bench
