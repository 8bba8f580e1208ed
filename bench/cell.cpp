#include "cell.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "clock.hpp"

namespace bench {
namespace {

constexpr int spare_children = 8;

// Some engines hold a descriptor for each child. limits.cpp has refused what the hard limit forbids.
void allow_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void block_sigchld() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

int capacity(const cell_request& request, const scenario& what) {
  return request.live + spare_children + what.extra_children(request.live, request.samples);
}

}  // namespace

cell::cell(const cell_request& request, const scenario& what, const engine_entry& entry)
    : request_(request),
      entry_(entry),
      children_(capacity(request, what)),
      times_(static_cast<std::size_t>(capacity(request, what))) {
  for (const std::string& fault : request.plants) plant(planted_, fault);
  if (!entry.make) throw skip(entry.absent);
  if (what.blocks_sigchld) block_sigchld();
  engine_ = entry.make(
      {.children = children_,
       .ended = [this](int slot) { ended(slot); },
       .ended_elsewhere = [this](int slot, const child_times& when) { ended_elsewhere(slot, when); }});
  if (std::string why = engine_->start(); !why.empty()) throw skip(why);
}

void cell::ended(int slot) {
  planted_.suffer();
  times_[static_cast<std::size_t>(slot)].told = last_told_ = now();
  ++told_count_;
}

void cell::ended_elsewhere(int slot, const child_times& when) {
  times_.at(static_cast<std::size_t>(slot)) = when;  // the number came from outside
  last_told_ = std::max(last_told_, when.told);
  ++told_count_;
}

void cell::make_live() {
  std::vector<int> slots;
  slots.reserve(static_cast<std::size_t>(request_.live));
  for (int made = 0; made < request_.live; ++made) slots.push_back(make());
  for (int slot : slots) children_.wait_parked(slot);
  settle();
}

int cell::make() {
  int slot = children_.new_slot();
  make(slot);
  return slot;
}

void cell::make(int slot) {
  auto& times = times_[static_cast<std::size_t>(slot)];
  times.began = now();
  engine_->make(slot);
  times.made = now();
}

int cell::make_parked() {
  int slot = make();
  children_.wait_parked(slot);
  settle();
  return slot;
}

void cell::settle() {
  // The child has the time to fall asleep at its gate, and the other processor to go idle.
  engine_->calm_down();
  sleep_for(100'000);
}

std::int64_t cell::turn_ended() const { return entry_.program ? last_told_ : now(); }

std::int64_t cell::run_until_told(int slot) {
  engine_->run_until_told(times_[static_cast<std::size_t>(slot)].told, slot);
  return turn_ended();
}

std::int64_t cell::run_until_all_told(int count) {
  while (told_count_ < count) engine_->turn(true);
  return turn_ended();
}

double cell::told_after(int slot) const {
  return static_cast<double>(times_of(slot).told - children_.stamp(slot));
}

void cell::add(const std::string& metric, const std::string& unit, double value) {
  results_.push_back({metric, unit, value});
}

int run_cell(const cell_request& request) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // with the runner, and its own children with it
  allow_descriptors();
  nlohmann::json answer;
  try {
    const scenario* what = find_scenario(request.scenario);
    const engine_entry* entry = nullptr;
    for (const auto& one : engine_catalogue()) {
      if (one.name == request.engine) entry = &one;
    }
    if (what == nullptr || entry == nullptr) return 2;
    // Never destroyed: with thousands of live children and handles that is not what is measured.
    cell& running = *new cell(request, *what, *entry);
    what->run(running);
    answer["figures"] = nlohmann::json::array();
    if (auto version = running.engine().version(); !version.empty()) answer["version"] = version;
    if (!running.left_out().empty()) answer["left_out"] = running.left_out();
    for (const figure& one : running.results()) {
      answer["figures"].push_back({{"metric", one.metric}, {"unit", one.unit}, {"value", one.value}});
    }
  } catch (const skip& why) {
    answer = {{"skip", why.what()}};
  } catch (const std::exception& why) {
    answer = {{"error", why.what()}};
  }
  std::cout << answer.dump() << std::endl;
  ::_exit(0);  // no destructors of engines, and no wait for the live children: they die with this thread
}

}  // namespace bench
