// What is true of the whole process: one watch for each pid, and which process this is.
#include "os/claims.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "support/children.hpp"

using uvreap::registry;

namespace {

registry& all() {
  registry* here = registry::of_this_process();
  REQUIRE(here != nullptr);
  return *here;
}

// What the child's body answers, as an exit code.
int in_a_child(const std::function<int()>& body) {
  pid_t pid = test::make_child(body);
  int word = 0;
  REQUIRE(::waitpid(pid, &word, 0) == pid);
  REQUIRE(WIFEXITED(word));
  return WEXITSTATUS(word);
}

constexpr std::uint8_t owner = 1;

}  // namespace

TEST_CASE("a pid is claimed once, and again when it was dropped") {
  CHECK(all().claim(5000, owner));
  CHECK_FALSE(all().claim(5000, owner));
  all().drop(5000);
  CHECK(all().claim(5000, owner));
  all().drop(5000);
}

TEST_CASE("what no child can have as its number is never claimed") {
  for (pid_t pid : {0, -1, -5000, 1 << 22, 2'147'483'647}) CHECK_FALSE(all().claim(pid, owner));
  CHECK(all().claim((1 << 22) - 1, owner));
  all().drop((1 << 22) - 1);
}

TEST_CASE("a newborn is claimed whoever had its number") {
  REQUIRE(all().claim(5001, owner));
  all().claim_newborn(5001, owner);
  CHECK_FALSE(all().claim(5001, owner));
  all().drop(5001);
}

TEST_CASE("while a pid is being collected nobody else gets it, and after that as it came out") {
  REQUIRE(all().claim(5002, owner));
  REQUIRE(all().collecting(5002, owner));
  CHECK_FALSE(all().claim(5002, owner));  // the bound: it never waits for ever
  all().still_there(5002, owner);
  CHECK_FALSE(all().claim(5002, owner));
  REQUIRE(all().collecting(5002, owner));
  all().drop(5002);
  CHECK(all().claim(5002, owner));
  all().drop(5002);
}

TEST_CASE("claim() waits for the end of a collecting in another thread") {
  REQUIRE(all().claim(5003, owner));
  std::atomic<int> claimed{0};
  std::atomic<bool> collecting{false};
  REQUIRE(all().collecting(5003, owner));
  std::thread other([&] {
    collecting = true;
    while (!all().claim(5003, owner)) ::sched_yield();
    claimed = 1;
  });
  while (!collecting) ::sched_yield();
  CHECK(claimed == 0);
  all().drop(5003);  // its status was taken: the number may be a younger child's now
  other.join();
  CHECK(claimed == 1);
  all().drop(5003);
}

TEST_CASE("of many threads that want the same pids each gets its own, and none twice") {
  constexpr int threads = 4;
  constexpr int rounds = 20'000;
  constexpr pid_t pids = 16;
  std::array<std::atomic<int>, pids> owners{};
  std::atomic<int> doubles{0};
  std::atomic<int> claims{0};
  std::vector<std::thread> crowd;
  for (int number = 0; number < threads; ++number) {
    crowd.emplace_back([&, number] {
      unsigned random = static_cast<unsigned>(number) + 1;
      for (int i = 0; i < rounds; ++i) {
        random = random * 1664525u + 1013904223u;
        auto which = static_cast<std::size_t>((random >> 16) % pids);
        auto pid = static_cast<pid_t>(6000 + which);
        if (!all().claim(pid, owner)) continue;
        ++claims;
        if (owners[which].fetch_add(1) != 0) ++doubles;
        if ((random & 1u) != 0 && all().collecting(pid, owner)) all().still_there(pid, owner);
        owners[which].fetch_sub(1);
        if ((random & 2u) != 0) (void)all().collecting(pid, owner);
        all().drop(pid);
      }
    });
  }
  for (auto& thread : crowd) thread.join();
  CHECK(doubles == 0);
  CHECK(claims > rounds);
  for (pid_t pid = 6000; pid < 6000 + pids; ++pid) {
    CHECK(all().claim(pid, owner));
    all().drop(pid);
  }
}

TEST_CASE("a forked child finds nothing claimed, and leaves its parent's claims alone") {
  REQUIRE(all().claim(5004, owner));
  REQUIRE(all().claim(5005, owner));
  REQUIRE(all().collecting(5005, owner));  // whatever stood at the moment of the fork
  CHECK(in_a_child([] {
          registry& here = *registry::of_this_process();
          bool empty = here.claim(5004, owner) && here.claim(5005, owner);
          here.drop(5004);
          return empty ? 1 : 0;
        }) == 1);
  CHECK_FALSE(all().claim(5004, owner));
  all().drop(5004);
  all().drop(5005);
}

TEST_CASE("a process keeps its origin, and a child and a grandchild have others") {
  auto ours = all().origin();
  CHECK(ours != 0);
  CHECK(all().origin() == ours);
  int answer = in_a_child([ours] {
    registry& here = *registry::of_this_process();
    auto child = here.origin();
    if (child == ours || child == 0 || here.origin() != child) return 1;
    return in_a_child([ours, child] {
      auto grandchild = registry::of_this_process()->origin();
      return grandchild != ours && grandchild != child && grandchild != 0 ? 42 : 2;
    });
  });
  CHECK(answer == 42);
  CHECK(all().origin() == ours);
}

TEST_CASE("origins differ down a line of descent in which some processes never asked for theirs") {
  auto ours = all().origin();
  int answer = in_a_child([ours] {  // never asks
    return in_a_child([ours] { return registry::of_this_process()->origin() != ours ? 42 : 1; });
  });
  CHECK(answer == 42);
}

TEST_CASE("threads that ask for the origin at once are told the same") {
  int answer = in_a_child([] {  // where nobody has asked yet
    std::array<std::uint64_t, 8> told{};
    std::vector<std::thread> crowd;
    for (auto& one : told) crowd.emplace_back([&one] { one = registry::of_this_process()->origin(); });
    for (auto& thread : crowd) thread.join();
    for (auto one : told) {
      if (one == 0 || one != told[0]) return 1;
    }
    return 42;
  });
  CHECK(answer == 42);
}

TEST_CASE("a newborn's claim ends an older one of its number, whose owner then keeps its hands off") {
  constexpr std::uint8_t other = 2;
  REQUIRE(all().claim(5010, owner));
  all().claim_newborn(5010, other);
  CHECK_FALSE(all().collecting(5010, owner));
  CHECK(all().collecting(5010, other));
  all().still_there(5010, other);
  CHECK(all().is_claimed(5010));
  all().drop(5010);
  CHECK_FALSE(all().is_claimed(5010));
}
