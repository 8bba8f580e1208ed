// Terminations that race with the ends they mean to bring about, by the thousand: nothing is left behind,
// each child is told once, and a status is what the child said or the signal that was sent.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "support/commands.hpp"
#include "support/sanitizers.hpp"
#include "support/stage.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

const std::size_t rounds = test::forks_are_slow() ? 1000 : 10'000;

constexpr int most_at_once = 64;

enum class kind { ends_at_once, ends_soon, waits, ignores_sigterm, is_a_program };

kind kind_of(int number) {
  if (number % 100 == 99) return kind::is_a_program;  // dearer, and mostly the same
  if (number % 50 == 48) return kind::ignores_sigterm;
  return static_cast<kind>(number % 3);
}

int live(int number) {
  if (number % 2 == 0) ::setpgid(0, 0);  // every other one leads a group when terminate asks, or not yet
  kind what = kind_of(number);
  if (what == kind::ignores_sigterm) ::signal(SIGTERM, SIG_IGN);
  if (what == kind::ends_soon) ::usleep(static_cast<useconds_t>(number % 13) * 50);
  while (what == kind::waits || what == kind::ignores_sigterm) ::pause();
  return number % 100;
}

class race {
 public:
  explicit race(test::stage& stage) : stage_(stage) {}

  void run() {
    for (int number = 0; number < static_cast<int>(rounds); ++number) {
      begin(number);
      stage_.run_until([&] { return running_ < most_at_once; });
    }
    stage_.run_until([&] { return running_ == 0; });
    stage_.run_dry();  // until the terminations are done too
  }

  std::vector<int> times_told = std::vector<int>(rounds);
  int wrong = 0;
  int begun = 0;
  int too_late = 0;
  int by_code = 0;
  int by_sigterm = 0;
  int by_sigkill = 0;

 private:
  void begin(int number) {
    pid_t pid = 0;
    auto note = [this, number](const child_exit& exit) { told(number, exit); };
    if (kind_of(number) == kind::is_a_program) {
      REQUIRE(stage_.reaper.spawn(&pid, {.argv = {"sleep", "600"}}, note) == 0);
    } else {
      REQUIRE(stage_.reaper.fork(
                  &pid, [number] { return live(number); }, note) == 0);
    }
    ++running_;
    if (number % 4 == 0) stage_.turn();
    if (number % 5 == 0) ::usleep(static_cast<useconds_t>(number % 17) * 30);
    auto grace = milliseconds(number % 10 == 7 ? 0 : 20);
    int error = stage_.reaper.terminate(pid, grace);
    if (error != 0 && error != UV_ESRCH) ++wrong;
    ++(error == 0 ? begun : too_late);
    if (error == 0 && number % 8 == 0 && stage_.reaper.terminate(pid, grace) == 0)
      ++wrong;  // it is under way
  }

  void told(int number, const child_exit& exit) {
    ++times_told[static_cast<std::size_t>(number)];
    --running_;
    bool code = exit.status.exited() && exit.status.exit_code() == number % 100;
    bool sigterm = exit.status.term_signal() == SIGTERM;
    bool sigkill = exit.status.term_signal() == SIGKILL;
    if (exit.lost || exit.timed_out || !(code || sigterm || sigkill)) ++wrong;
    by_code += code ? 1 : 0;
    by_sigterm += sigterm ? 1 : 0;
    by_sigkill += sigkill ? 1 : 0;
  }

  test::stage& stage_;
  int running_ = 0;
};

}  // namespace

TEST_CASE(
    "10 000 terminations that race with exits leave nothing behind, and each child is told once, truly") {
  test::stage stage;
  race race(stage);
  race.run();
  CHECK(race.times_told == std::vector<int>(rounds, 1));
  CHECK(race.wrong == 0);
  CHECK(stage.reaper.stats().lost == 0);
  CHECK(stage.reaper.stats().watched == 0);
  // The races were races: each way was gone by some.
  CHECK(race.begun + race.too_late == static_cast<int>(rounds));
  CHECK(race.by_code > 0);
  CHECK(race.by_sigterm > 0);
  CHECK(race.by_sigkill > 0);
  MESSAGE(race.too_late, " too late, ", race.by_code, " by themselves, ", race.by_sigterm, " by SIGTERM, ",
          race.by_sigkill, " by SIGKILL");
}
