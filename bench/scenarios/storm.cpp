// storm: a steady rate of exits beside a 1 ms timer and an echo server on the same loop. How late are they?
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <utility>
#include <vector>

#include "../cell.hpp"
#include "../clock.hpp"
#include "../quiet_thread.hpp"

namespace bench {
namespace {

constexpr int exits = 2000;
constexpr std::int64_t between_exits = 1'000'000;  // ns: a thousand a second
constexpr std::int64_t calm = 1'000'000'000;       // ns, measured before the storm
constexpr std::int64_t tick = 1'000'000;

// An echo server on the engine's loop and its client, one question a millisecond.
class echo {
 public:
  explicit echo(engine& engine) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) != 0) {
      throw std::system_error(errno, std::generic_category(), "socketpair");
    }
    engine.on_readable(ends_[0], [this] {
      char question[64];
      ssize_t size = ::read(ends_[0], question, sizeof(question));
      if (size > 0) (void)!::write(ends_[0], question, static_cast<std::size_t>(size));
    });
    client_ = quiet_thread([this](const std::stop_token& stop) { ask(stop); });
  }

  // What was measured since the last call. Only the client adds, under the vector's own lock.
  std::vector<double> take() {
    std::lock_guard hold(lock_);
    return std::exchange(round_trips_, {});
  }
  // The loop is to run on until the last answer was read.
  void stop() { client_.request_stop(); }
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  void ask(const std::stop_token& stop) {
    char text[64] = {};
    while (!stop.stop_requested()) {
      std::int64_t before = now();
      (void)!::write(ends_[1], text, sizeof(text));
      (void)!::read(ends_[1], text, sizeof(text));
      double took = static_cast<double>(now() - before);
      {
        std::lock_guard hold(lock_);
        round_trips_.push_back(took);
      }
      sleep_for(tick);
    }
    stopped_ = true;
  }

  std::array<int, 2> ends_{};
  std::mutex lock_;
  std::vector<double> round_trips_;
  std::atomic<bool> stopped_ = false;
  std::jthread client_;
};

// How much later than its millisecond each tick came after the one before.
struct ticks {
  std::vector<double> late;
  std::int64_t last = 0;

  void operator()() {
    std::int64_t at = now();
    if (last != 0) late.push_back(static_cast<double>(std::max<std::int64_t>(0, at - last - tick)));
    last = at;
  }
};

double loop_cpu() { return static_cast<double>(thread_cpu_time()); }

void run_for(cell& cell, std::int64_t ns) {
  for (std::int64_t until = now() + ns; now() < until;) cell.engine().turn(true);
}

void run(cell& cell) {
  ticks timer;
  if (!cell.engine().every_millisecond([&] { timer(); })) throw skip("it has no loop to be late on");
  cell.make_live();
  std::vector<int> slots;
  slots.reserve(exits);
  for (int made = 0; made < exits; ++made) slots.push_back(cell.make());
  for (int slot : slots) cell.children().wait_parked(slot);
  cell.settle();

  echo server(cell.engine());
  run_for(cell, calm / 5);
  timer.late.clear();
  (void)server.take();
  double cpu_before = loop_cpu();
  std::int64_t began = now();
  run_for(cell, calm);
  // Not a figure per exit: for who polls every descriptor in each turn, calm is dearer the more children
  // live.
  cell.add("cpu_share_calm", "percent", 100 * (loop_cpu() - cpu_before) / static_cast<double>(now() - began));
  add_quantiles(cell.results(), std::exchange(timer.late, {}), "_timer_calm");
  add_quantiles(cell.results(), server.take(), "_echo_calm");

  cpu_before = loop_cpu();
  began = now();
  auto releaser = quiet_thread([&] {
    for (int slot : slots) {
      cell.children().let_go(slot);
      sleep_for(between_exits);
    }
  });
  cell.run_until_all_told(exits);
  cell.add("cpu_share", "percent", 100 * (loop_cpu() - cpu_before) / static_cast<double>(now() - began));
  add_quantiles(cell.results(), std::exchange(timer.late, {}), "_timer");
  add_quantiles(cell.results(), server.take(), "_echo");
  std::vector<double> late;
  late.reserve(exits);
  for (int slot : slots) late.push_back(cell.told_after(slot));
  add_quantiles(cell.results(), late);
  server.stop();
  while (!server.stopped()) cell.engine().turn(true);
}

}  // namespace

scenario storm_scenario() {
  return {.name = "storm",
          .about =
              "a thousand exits a second for two seconds: how late a 1 ms timer and an echo on the same loop "
              "are, "
              "and were before (calm)",
          .lives = {0, 1000},
          .columns = {{"p50_timer", "timer p50 us"},
                      {"p99_timer", "p99"},
                      {"p99_timer_calm", "(calm p99)"},
                      {"p50_echo", "echo p50 us"},
                      {"p99_echo", "p99"},
                      {"p99_echo_calm", "(calm p99)"},
                      {"p50", "exit p50 us"},
                      {"p99", "p99"},
                      {"cpu_share", "cpu %"},
                      {"cpu_share_calm", "(calm)"}},
          .extra_children = [](int, int) { return exits; },
          .run = run,
          .extra_at_once = exits,
          .looks_at_itself = true};
}

}  // namespace bench
