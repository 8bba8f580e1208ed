// A round over children that come and go while it is under way.
#include "child/round.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <vector>

using uvreap::child;
using uvreap::look_queue;
using uvreap::notice;
using uvreap::round_tag;

namespace {

// Children with a round over them.
class turning {
 public:
  explicit turning(std::initializer_list<pid_t> pids) {
    for (pid_t pid : pids) add(pid);
  }

  void add(pid_t pid) {
    auto& one = children_[pid];
    if (one == nullptr) one = std::make_unique<child>(uvreap::watch_options{}, uvreap::callback{});
    one->id = uvreap::identity(pid);
    round.add(*one);
  }
  void remove(pid_t pid) { round.remove(*children_[pid]); }
  [[nodiscard]] bool has(pid_t pid) {
    return children_[pid] != nullptr && static_cast<uvreap::hook<round_tag>&>(*children_[pid]).is_linked();
  }

  std::vector<pid_t> take(std::size_t count) {
    look_queue taken;
    round.take(taken, count);
    std::vector<pid_t> pids;
    while (child* one = taken.pop_front()) {
      why = one->noticed_by;
      pids.push_back(one->pid());
    }
    return pids;
  }

  notice why = notice::already;  // of who was taken last
  uvreap::round<round_tag> round;

 private:
  std::map<pid_t, std::unique_ptr<child>> children_;
};

using pids = std::vector<pid_t>;

}  // namespace

TEST_CASE("no child is taken before a round was asked for") {
  turning it{3, 1, 2};
  CHECK_FALSE(it.round.is_under_way());
  CHECK(it.take(8).empty());
}

TEST_CASE("a round takes each child once, in the order in which they came, and ends") {
  turning it{30, 10, 20};
  it.round.ask(notice::poller);
  CHECK(it.round.is_under_way());
  CHECK(it.take(2) == pids{30, 10});
  CHECK(it.round.is_under_way());
  CHECK(it.take(2) == pids{20});
  CHECK_FALSE(it.round.is_under_way());
  CHECK(it.take(2).empty());
}

TEST_CASE("a round that ends with a full batch has ended") {
  turning it{1, 2, 3, 4};
  it.round.ask(notice::poller);
  CHECK(it.take(4).size() == 4);
  CHECK_FALSE(it.round.is_under_way());
  CHECK(it.take(4).empty());
}

TEST_CASE("the next round begins with who was taken longest ago") {
  turning it{10, 20, 30};
  it.round.ask(notice::poller);
  CHECK(it.take(8) == pids{10, 20, 30});
  (void)it.round.turn();
  it.round.ask(notice::poller);
  CHECK(it.take(8) == pids{20, 30, 10});
}

TEST_CASE("who comes during a round waits for the next, and passes nobody over") {
  turning it{10, 20, 30};
  it.round.ask(notice::poller);
  CHECK(it.take(2) == pids{10, 20});
  it.add(40);
  CHECK(it.take(8) == pids{30});
  CHECK_FALSE(it.round.is_under_way());
  it.round.ask(notice::poller);
  CHECK(it.take(8) == pids{10, 20, 40, 30});
}

TEST_CASE("who goes during a round is not taken, and nobody is passed over for it") {
  turning it{10, 20, 30, 40};
  it.round.ask(notice::poller);
  CHECK(it.take(2) == pids{10, 20});
  it.remove(20);
  it.remove(30);
  CHECK(it.take(1) == pids{40});
  CHECK_FALSE(it.has(30));
  CHECK(it.round.size() == 2);
}

TEST_CASE("asked again during a round, another whole round follows, with its own reason") {
  turning it{10, 20, 30};
  it.round.ask(notice::poller);
  CHECK(it.take(1) == pids{10});
  it.round.ask(notice::sigchld);
  it.round.ask(notice::sigchld);  // and not two
  CHECK(it.take(8) == pids{20, 30});
  CHECK(it.why == notice::poller);
  CHECK(it.round.is_under_way());
  CHECK(it.take(8) == pids{10, 20, 30});
  CHECK(it.why == notice::sigchld);
  CHECK_FALSE(it.round.is_under_way());
}

TEST_CASE("a round asked for while there is nobody is none, also for those who come later") {
  turning it{};
  it.round.ask(notice::poller);
  CHECK_FALSE(it.round.is_under_way());
  it.add(7);
  CHECK(it.take(8).empty());
}

TEST_CASE("a round that loses its last child ends") {
  turning it{7};
  it.round.ask(notice::poller);
  it.remove(7);
  CHECK_FALSE(it.round.is_under_way());
  CHECK(it.take(8).empty());
}

TEST_CASE("a child that comes twice is there once, and one that goes twice has gone") {
  turning it{7, 8};
  it.add(7);
  CHECK(it.round.size() == 2);
  it.remove(8);
  it.remove(8);
  CHECK(it.round.size() == 1);
}

TEST_CASE("who was there from the ask to the end is taken, whatever comes and goes meanwhile") {
  constexpr pid_t keepers = 400;
  for (std::size_t batch : {1u, 3u, 16u, 1000u}) {
    turning it{};
    for (pid_t i = 1; i <= keepers; ++i) it.add(i * 10);
    it.round.ask(notice::poller);
    std::map<pid_t, int> taken;
    unsigned random = 7;
    int steps = 0;
    while (it.round.is_under_way()) {
      for (pid_t pid : it.take(batch)) ++taken[pid];
      for (int i = 0; i < 5; ++i) {
        random = random * 1664525u + 1013904223u;
        pid_t passer_by = static_cast<pid_t>(random >> 8) % (keepers * 10);
        if (passer_by < 1 || passer_by % 10 == 0) continue;
        it.has(passer_by) ? it.remove(passer_by) : it.add(passer_by);
      }
      REQUIRE(++steps < 10'000);
    }
    for (pid_t i = 1; i <= keepers; ++i) REQUIRE(taken[i * 10] >= 1);
    // In all as many as there were at the beginning: who comes takes nobody's place, and makes no round
    // longer.
    int all = 0;
    for (auto [pid, times] : taken) all += times;
    CHECK(all <= keepers);
  }
}
