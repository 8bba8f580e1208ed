// How PID 1 hears its signals: none hides another, whatever comes in meanwhile.
#include "../apps/init/signals.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <map>

namespace {

using pid1::inherited_signals;
using pid1::waiting_signals;

// All signals are blocked for one test, and those that nobody heard are forgotten.
class only_waiting {
 public:
  ~only_waiting() {
    waiting_signals left;
    while (left.next(0) != 0) {
    }
    inherited_.give_back();
  }

 private:
  inherited_signals inherited_;
};

}  // namespace

TEST_CASE("each signal is heard once, and then none") {
  only_waiting floor;
  waiting_signals signals;
  CHECK(signals.next(0) == 0);
  for (int signum : {SIGTERM, SIGCHLD, SIGPWR, SIGTERM}) ::raise(signum);
  std::map<int, int> heard;
  while (int signum = signals.next(0)) ++heard[signum];
  CHECK(heard == std::map<int, int>{{SIGTERM, 1}, {SIGCHLD, 1}, {SIGPWR, 1}});
}

TEST_CASE("a real-time signal is heard as often as it was sent") {
  only_waiting floor;
  waiting_signals signals;
  for (int i = 0; i < 5; ++i) ::raise(SIGRTMIN + 3);
  int heard = 0;
  while (int signum = signals.next(0)) {
    CHECK(signum == SIGRTMIN + 3);
    ++heard;
  }
  CHECK(heard == 5);
}

TEST_CASE("one that is sent without pause hides no other") {
  only_waiting floor;
  const int all_quiet[] = {SIGTERM, SIGCHLD, SIGCONT, SIGPWR, SIGRTMIN + 3};
  for (int stormy : {SIGHUP, SIGUSR1, SIGCHLD}) {
    CAPTURE(stormy);
    waiting_signals signals;
    for (int quiet : all_quiet) ::raise(quiet);
    std::map<int, int> heard;
    for (int turn = 0; turn < 40; ++turn) {
      ::raise(stormy);
      ++heard[signals.next(0)];
    }
    for (int quiet : all_quiet) {
      CAPTURE(quiet);
      CHECK(heard[quiet] >= 1);
    }
    CHECK(heard[0] == 0);
  }
}

TEST_CASE("without one it waits no longer than it was told") {
  only_waiting floor;
  waiting_signals signals;
  CHECK(signals.next(20) == 0);
  ::raise(SIGTERM);
  CHECK(signals.next(-1) == SIGTERM);
}
