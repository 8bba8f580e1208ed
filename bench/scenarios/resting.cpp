// resting: nobody ends for some seconds. Wake-ups and CPU, seen from a thread beside the loop.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "../cell.hpp"
#include "../clock.hpp"
#include "../quiet_thread.hpp"

namespace bench {
namespace {

// How often the threads of this process, without the caller, went to sleep. A thread that sleeps on was
// counted when it fell asleep, so the difference of two readings counts the wake-ups between.
double sleeps() {
  double total = 0;
  std::string own = std::to_string(::gettid());
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == own) continue;
    std::ifstream status(task.path() / "status");
    const std::string wanted = "voluntary_ctxt_switches:";
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(wanted)) total += std::stod(line.substr(wanted.size()));
    }
  }
  return total;
}

double cpu_of_others() { return static_cast<double>(cpu_time() - thread_cpu_time()); }

// Ends the rest. By a pipe on the engine's loop, so that with 0 live nothing at all is watched; who has no
// loop is woken by a child.
class alarm_clock {
 public:
  explicit alarm_clock(cell& cell) : cell_(cell) {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0)
      throw std::system_error(errno, std::generic_category(), "pipe2");
    on_loop_ = cell.engine().on_readable(ends_[0], [this] { rung_ = true; });
    if (!on_loop_) last_ = cell.make_parked();
    cell.settle();
  }
  void ring() {
    if (!on_loop_) return cell_.children().let_go(last_);
    (void)!::write(ends_[1], "!", 1);
  }
  void run_until_rung() {
    if (!on_loop_) cell_.run_until_told(last_);
    while (on_loop_ && !rung_) cell_.engine().turn(true);
  }

 private:
  cell& cell_;
  std::array<int, 2> ends_{};
  bool on_loop_ = false;
  bool rung_ = false;
  int last_ = no_slot;
};

void run(cell& cell) {
  cell.make_live();
  alarm_clock alarm(cell);
  double wake_ups = 0;
  double cpu = 0;
  {
    auto observer = quiet_thread([&] {
      sleep_for(500'000'000);  // until the loop sleeps
      double sleeps_before = sleeps();
      double cpu_before = cpu_of_others();
      sleep_for(static_cast<std::int64_t>(cell.request().seconds * 1e9));
      wake_ups = sleeps() - sleeps_before;
      cpu = cpu_of_others() - cpu_before;
      alarm.ring();
    });
    alarm.run_until_rung();
  }
  cell.add("wake_ups", "count", wake_ups);
  cell.add("wake_ups_per_second", "1/s", wake_ups / cell.request().seconds);
  cell.add("cpu_per_second", "us/s", cpu / 1000 / cell.request().seconds);
}

}  // namespace

scenario resting_scenario() {
  return {.name = "resting",
          .about = "no child ends for --seconds: wake-ups and CPU of this process",
          .lives = {0, 1000},
          .columns = {{"wake_ups", "wake-ups"},
                      {"wake_ups_per_second", "per second"},
                      {"cpu_per_second", "cpu us/s"}},
          .extra_children = [](int, int) { return 1; },
          .run = run,
          .looks_at_itself = true};
}

}  // namespace bench
