// flood: children are made beside a 1 ms timer on the same loop: 32 at a time, as fast as they come, and 200
// a second. How late is the timer, and for how long does the making hold the loop? And for how long does the
// least that a call off the loop has to do?
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../bare_hand_over.hpp"
#include "../cell.hpp"
#include "../clock.hpp"
#include "../resident.hpp"

namespace bench {
namespace {

constexpr std::int64_t tick = 1'000'000;
constexpr std::int64_t duration = 2'000'000'000;  // of each part
constexpr int at_once = 32;
constexpr int a_second = 200;

class flood {
 public:
  explicit flood(cell& cell) : cell_(cell) {
    if (!cell.engine().every_millisecond([this] { on_tick(); })) throw skip("it has no loop to be late on");
  }

  // How long the least of a call takes, at that rate.
  void run_bare(int rate) {
    bare_ = std::make_unique<bare_hand_over>();
    (void)turn_for_a_while(rate);
    bare_.reset();
    add_quantiles(cell_.results(), std::exchange(calls_, {}), "_bare_call");
  }

  // rate 0: as fast as they come.
  void run(const std::string& program, int rate, const std::string& suffix) {
    program_ = program;
    double took = turn_for_a_while(rate);
    cell_.add("rate" + suffix, "children/s", ended_ / took);
    add_quantiles(cell_.results(), std::exchange(late_, {}), "_late" + suffix);
    add_quantiles(cell_.results(), std::exchange(calls_, {}), "_call" + suffix);
    while (under_way_ != 0) cell_.engine().turn(true);
    late_.clear();
  }

 private:
  // How long it was, in seconds.
  double turn_for_a_while(int rate) {
    rate_ = rate;
    ended_ = 0;
    last_tick_ = 0;
    owed_ = 0;
    is_on_ = true;
    std::int64_t began = now();
    for (int i = 0; rate == 0 && i < at_once; ++i) make_one();
    while (now() - began < duration) cell_.engine().turn(true);
    double took = static_cast<double>(now() - began) / 1e9;
    is_on_ = false;
    return took;
  }

  void make_one() {
    std::int64_t before = now();
    if (bare_ != nullptr) {
      bare_->hand_over();
      return calls_.push_back(static_cast<double>(now() - before));
    }
    ++under_way_;
    bool can = cell_.engine().run_program(program_, [this] {
      --under_way_;
      if (is_on_) ++ended_;
      if (is_on_ && rate_ == 0) make_one();
    });
    if (!can) throw skip("it makes no program's children");
    calls_.push_back(static_cast<double>(now() - before));
  }

  void on_tick() {
    std::int64_t at = now();
    if (last_tick_ != 0) {
      late_.push_back(static_cast<double>(std::max<std::int64_t>(0, at - last_tick_ - tick)));
    }
    std::int64_t passed = last_tick_ == 0 ? 0 : at - last_tick_;
    last_tick_ = at;
    if (!is_on_) return;
    for (owed_ += static_cast<double>(passed) * rate_ / 1e9; owed_ >= 1; owed_ -= 1) make_one();
  }

  cell& cell_;
  std::unique_ptr<bare_hand_over> bare_;  // null: children are made
  std::string program_;
  int rate_ = 0;
  bool is_on_ = false;
  int under_way_ = 0;
  double ended_ = 0;
  double owed_ = 0;
  std::int64_t last_tick_ = 0;
  std::vector<double> late_;
  std::vector<double> calls_;
};

void run(cell& cell, const std::string& child, std::size_t resident) {
  if (available_gib() < static_cast<double>(resident) / gib + 1) throw skip("there is too little memory");
  cell.make_live();
  auto programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  std::string program = programs / ("bench-" + child + "-child");
  if (!std::filesystem::exists(program)) throw skip(program + " is not built");
  flood flood(cell);
  if (resident != 0) grow(resident);
  flood.run(program, 0, "");
  flood.run(program, a_second, "_200");
  flood.run_bare(a_second);
}

scenario variant(const std::string& child, const std::string& about, std::size_t resident) {
  return {.name = "flood_" + child + (resident == 0 ? "" : "_2gib"),
          .about = "children made beside a 1 ms timer, 32 under way and then 200 a second: " + about +
                   (resident == 0 ? "" : ", with 2 GiB resident"),
          .lives = {0},
          .columns = {{"p50_late", "timer late p50 us"},
                      {"p99_late", "p99"},
                      {"rate", "children/s"},
                      {"p50_call_200", "200/s: loop held p50 us"},
                      {"p99_call_200", "p99"},
                      {"p50_bare_call", "its least, p50"},
                      {"p50_late_200", "timer late p50"}},
          .base = "uvreap-spawn",
          .ratios = {{"rate", "rate"}},
          .extra_children = [](int, int) { return at_once; },
          .run = [child, resident](cell& cell) { run(cell, child, resident); },
          .looks_at_itself = true};
}

}  // namespace

std::vector<scenario> flood_scenarios() {
  std::vector<scenario> all;
  for (std::size_t resident : {std::size_t{0}, 2 * gib}) {
    all.push_back(variant("static", "a small static program", resident));
    all.push_back(variant("dynamic", "a small dynamic program", resident));
    all.push_back(variant("large", "a static program of 50 MB", resident));
  }
  return all;
}

}  // namespace bench
