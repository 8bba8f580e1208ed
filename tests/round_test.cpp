// A round over a set of pids that changes while the round is under way.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "child/pid_round.hpp"

using uvreap::notice;
using uvreap::pid_round;

namespace {

void add(pid_round& round, pid_t pid) {
  REQUIRE(round.make_room());
  round.add(pid);
}

pid_round round_of(std::initializer_list<pid_t> pids) {
  pid_round round;
  for (pid_t pid : pids) add(round, pid);
  return round;
}

std::vector<pid_t> take(pid_round& round, std::size_t count) {
  std::vector<pid_t> out(count, -1);
  out.resize(round.take(out));
  return out;
}

}  // namespace

TEST_CASE("nobody is given before a round was asked for") {
  pid_round round = round_of({3, 1, 2});
  CHECK_FALSE(round.under_way());
  CHECK(take(round, 8).empty());
}

TEST_CASE("a round gives each pid once and ends") {
  pid_round round = round_of({30, 10, 20});
  round.ask(notice::poller);
  CHECK(round.under_way());
  CHECK(take(round, 2) == std::vector<pid_t>{10, 20});
  CHECK(round.under_way());
  CHECK(take(round, 2) == std::vector<pid_t>{30});
  CHECK_FALSE(round.under_way());
  CHECK(take(round, 2).empty());
}

TEST_CASE("a round whose last batch is full ends with the next, which is empty") {
  pid_round round = round_of({1, 2, 3, 4});
  round.ask(notice::poller);
  CHECK(take(round, 4).size() == 4);
  CHECK(take(round, 4).empty());
  CHECK_FALSE(round.under_way());
}

TEST_CASE("a pid added before the cursor waits for the next round, one added behind it is in this one") {
  pid_round round = round_of({10, 20, 30});
  round.ask(notice::poller);
  CHECK(take(round, 2) == std::vector<pid_t>{10, 20});
  add(round, 15);
  add(round, 25);
  CHECK(take(round, 8) == std::vector<pid_t>{25, 30});
  CHECK_FALSE(round.under_way());
  round.ask(notice::poller);
  CHECK(take(round, 8) == std::vector<pid_t>{10, 15, 20, 25, 30});
}

TEST_CASE("a pid removed during the round is not given, the one under the cursor included") {
  pid_round round = round_of({10, 20, 30, 40});
  round.ask(notice::poller);
  CHECK(take(round, 2) == std::vector<pid_t>{10, 20});
  round.remove(20);
  round.remove(30);
  CHECK(take(round, 8) == std::vector<pid_t>{40});
  CHECK_FALSE(round.has(30));
  CHECK(round.size() == 2);
}

TEST_CASE("asked again during a round, another whole round follows, with its own reason") {
  pid_round round = round_of({10, 20, 30});
  round.ask(notice::poller);
  CHECK(take(round, 1) == std::vector<pid_t>{10});
  round.ask(notice::sigchld);
  round.ask(notice::sigchld);  // and not two
  CHECK(take(round, 8) == std::vector<pid_t>{20, 30});
  CHECK(round.why() == notice::poller);
  CHECK(round.under_way());
  CHECK(take(round, 8) == std::vector<pid_t>{10, 20, 30});
  CHECK(round.why() == notice::sigchld);
  CHECK_FALSE(round.under_way());
}

TEST_CASE("a round asked for while there is nobody is none, also for those who come later") {
  pid_round round;
  round.ask(notice::poller);
  CHECK_FALSE(round.under_way());
  add(round, 7);
  CHECK(take(round, 8).empty());
}

TEST_CASE("a round that loses its last pid ends") {
  pid_round round = round_of({7});
  round.ask(notice::poller);
  round.remove(7);
  CHECK(take(round, 8).empty());
  CHECK_FALSE(round.under_way());
}

TEST_CASE("adding a pid that is there keeps the room for the next") {
  pid_round round = round_of({7});
  REQUIRE(round.make_room());
  round.add(7);
  round.add(8);  // in that room
  CHECK(round.size() == 2);
}

TEST_CASE("whoever was there from the ask to the end is given exactly once, whatever comes and goes beside") {
  constexpr pid_t keepers = 400;
  for (std::size_t batch : {1u, 3u, 16u, 1000u}) {
    pid_round round;
    for (pid_t i = 1; i <= keepers; ++i) add(round, i * 10);
    round.ask(notice::poller);
    std::map<pid_t, int> given;
    unsigned random = 7;
    int steps = 0;
    while (round.under_way()) {
      for (pid_t pid : take(round, batch)) ++given[pid];
      for (int i = 0; i < 5; ++i) {
        random = random * 1664525u + 1013904223u;
        pid_t passer_by = static_cast<pid_t>(random >> 8) % (keepers * 10);
        if (passer_by < 1 || passer_by % 10 == 0) continue;
        round.has(passer_by) ? round.remove(passer_by) : add(round, passer_by);
      }
      REQUIRE(++steps < 10'000);
    }
    for (pid_t i = 1; i <= keepers; ++i) CHECK(given[i * 10] == 1);
    for (auto [pid, times] : given) CHECK(times == 1);
  }
}
