// flood: children are made beside a 1 ms timer on the same loop: 32 at a time, as fast as they come, and 200
// a second. How late is the timer, and for how long does the making hold the loop?
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../cell.hpp"
#include "../clock.hpp"

namespace bench {
namespace {

constexpr std::int64_t tick = 1'000'000;
constexpr std::int64_t duration = 2'000'000'000;  // of each part
constexpr int at_once = 32;
constexpr int a_second = 200;
constexpr std::size_t resident = std::size_t{2} << 30;

// Small pages, as a heap that grew over weeks has them: with huge pages there is little to copy.
void grow() {
  void* memory = ::mmap(nullptr, resident, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
  ::madvise(memory, resident, MADV_NOHUGEPAGE);
  for (std::size_t at = 0; at < resident; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
}

class flood {
 public:
  explicit flood(cell& cell) : cell_(cell) {
    if (!cell.engine().every_millisecond([this] { on_tick(); })) throw skip("it has no loop to be late on");
  }

  // rate 0: as fast as they come.
  void run(const std::string& program, int rate, const std::string& suffix) {
    program_ = program;
    rate_ = rate;
    late_.clear();
    calls_.clear();
    ended_ = 0;
    last_tick_ = 0;
    owed_ = 0;
    is_on_ = true;
    std::int64_t began = now();
    for (int i = 0; rate == 0 && i < at_once; ++i) make_one();
    while (now() - began < duration) cell_.engine().turn(true);
    double took = static_cast<double>(now() - began) / 1e9;
    is_on_ = false;
    cell_.add("rate" + suffix, "children/s", ended_ / took);
    while (under_way_ != 0) cell_.engine().turn(true);
    add_quantiles(cell_.results(), std::exchange(late_, {}), "_late" + suffix);
    add_quantiles(cell_.results(), std::exchange(calls_, {}), "_call" + suffix);
  }

 private:
  void make_one() {
    std::int64_t before = now();
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

void run(cell& cell) {
  cell.make_live();
  auto programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  flood flood(cell);
  for (bool is_large : {false, true}) {
    if (is_large) grow();
    for (const std::string child : {"static", "dynamic", "large"}) {
      std::string program = programs / ("bench-" + child + "-child");
      std::string suffix = "_" + child + (is_large ? "_2gib" : "");
      flood.run(program, 0, suffix);
      flood.run(program, a_second, suffix + "_200");
    }
  }
}

}  // namespace

scenario flood_scenario() {
  return {.name = "flood",
          .about =
              "children made beside a 1 ms timer, 32 at a time and 200 a second (_200), of a small static, a "
              "dynamic and a 50 MB program, with little and with 2 GiB resident (_2gib)",
          .lives = {0},
          .columns = {{"p50_late_dynamic", "timer late p50 us"},
                      {"p50_late_dynamic_2gib", "2 GiB"},
                      {"rate_dynamic", "children/s"},
                      {"rate_dynamic_2gib", "2 GiB"},
                      {"p50_call_dynamic_200", "call, 200/s p50 us"},
                      {"p99_call_dynamic_200", "p99"}},
          .base = "uvreap-spawn",
          .ratios = {{"rate_dynamic", "rate"}},
          .run = run,
          .looks_at_itself = true};
}

}  // namespace bench
