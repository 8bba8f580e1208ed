// What is true of the whole process: one watch for each child, how many pidfds are held, and which process
// this is.
#include "os/claims.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "support/children.hpp"

using uvreap::claims;

namespace {

std::function<void()> when_it_yields;
int yields = 0;

// What a claim() of this scope does while it waits.
struct yielding {
  explicit yielding(std::function<void()> what) { yields = 0, when_it_yields = std::move(what); }
  ~yielding() { when_it_yields = nullptr; }
  yielding(const yielding&) = delete;
  yielding& operator=(const yielding&) = delete;
};

}  // namespace

// In the place of the C library's.
extern "C" int sched_yield() noexcept {
  if (when_it_yields) ++yields, when_it_yields();
  return 0;
}

namespace {

claims& all() {
  claims* here = claims::of_this_process();
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

constexpr std::uint32_t one_reaper = 1;
constexpr std::uint32_t another_reaper = 2;
constexpr claims::word mine = claims::word_of(one_reaper, 77);
constexpr claims::word others = claims::word_of(another_reaper, 77);  // of the same child
constexpr claims::word of_younger = claims::word_of(another_reaper, 78);
constexpr claims::word unknown = claims::word_of(one_reaper, 0);
constexpr claims::word others_unknown = claims::word_of(another_reaper, 0);

}  // namespace

TEST_CASE("a child is claimed once, and again when it was dropped") {
  CHECK(all().claim(5000, mine));
  CHECK_FALSE(all().claim(5000, mine));
  CHECK_FALSE(all().claim(5000, others));
  CHECK(all().is_claimed_by(5000, mine));
  CHECK_FALSE(all().is_claimed_by(5000, others));
  all().drop(5000, mine);
  CHECK(all().claim(5000, others));
  all().drop(5000, others);
  CHECK_FALSE(all().is_claimed(5000));
}

TEST_CASE("what no child can have as its number is never claimed") {
  for (pid_t pid : {0, -1, -5000, 1 << 22, 2'147'483'647}) {
    CHECK_FALSE(all().claim(pid, mine));
    CHECK_FALSE(all().is_claimed(pid));
  }
  CHECK(all().claim((1 << 22) - 1, mine));
  all().drop((1 << 22) - 1, mine);
}

TEST_CASE(
    "the claim of a dead child gives way to that of a younger one, and its owner's drop leaves that alone") {
  REQUIRE(all().claim(5001, mine));
  CHECK(all().claim(5001, of_younger));
  CHECK_FALSE(all().is_claimed_by(5001, mine));
  CHECK_FALSE(all().begin_collecting(5001, mine));
  all().drop(5001, mine);
  CHECK(all().is_claimed_by(5001, of_younger));
  all().drop(5001, of_younger);
}

TEST_CASE("where a birth is not known a claim gives way to none") {
  REQUIRE(all().claim(5001, unknown));
  CHECK_FALSE(all().claim(5001, of_younger));
  CHECK_FALSE(all().claim(5001, others_unknown));
  all().drop(5001, unknown);
  REQUIRE(all().claim(5001, mine));
  CHECK_FALSE(all().claim(5001, others_unknown));
  all().drop(5001, mine);
}

TEST_CASE("a newborn is claimed whoever had its number, and that one keeps its hands off") {
  REQUIRE(all().claim(5010, unknown));
  all().claim_newborn(5010, others_unknown);
  CHECK_FALSE(all().begin_collecting(5010, unknown));
  all().drop(5010, unknown);
  CHECK(all().begin_collecting(5010, others_unknown));
  all().end_collecting(5010, others_unknown, false);
  CHECK(all().is_claimed(5010));
  all().drop(5010, others_unknown);
  CHECK_FALSE(all().is_claimed(5010));
}

TEST_CASE("a newborn that is claimed during a collecting stays claimed after it") {
  for (bool collected : {false, true}) {
    REQUIRE(all().claim(5011, mine));
    REQUIRE(all().begin_collecting(5011, mine));
    all().claim_newborn(5011, of_younger);
    all().end_collecting(5011, mine, collected);
    CHECK(all().is_claimed_by(5011, of_younger));
    all().drop(5011, of_younger);
  }
}

TEST_CASE("only its owner collects a child, and only once at a time") {
  REQUIRE(all().claim(5002, mine));
  CHECK_FALSE(all().begin_collecting(5002, others));
  REQUIRE(all().begin_collecting(5002, mine));
  CHECK_FALSE(all().begin_collecting(5002, mine));
  all().end_collecting(5002, mine, false);
  CHECK(all().is_claimed_by(5002, mine));
  REQUIRE(all().begin_collecting(5002, mine));
  all().end_collecting(5002, mine, true);
  CHECK_FALSE(all().is_claimed(5002));
}

TEST_CASE("a claim waits out a collecting") {
  REQUIRE(all().claim(5003, mine));
  REQUIRE(all().begin_collecting(5003, mine));
  bool is_taken = false;
  yielding scope([&] {
    if (yields == 3) all().end_collecting(5003, mine, is_taken);
  });
  SUBCASE("and has the number when the status was taken: it is free, or a younger child's") {
    is_taken = true;
    CHECK(all().claim(5003, others));
    CHECK(yields == 3);
    CHECK(all().is_claimed_by(5003, others));
  }
  SUBCASE("and is refused when it was not") {
    CHECK_FALSE(all().claim(5003, others));
    CHECK(yields == 3);
  }
  SUBCASE("but not where the births tell that the child is another one") {
    CHECK(all().claim(5003, of_younger));
    CHECK(yields == 0);
  }
  all().end_collecting(5003, mine, true);
  for (auto word : {mine, others, of_younger}) all().drop(5003, word);
}

TEST_CASE("a claim never waits for ever") {
  REQUIRE(all().claim(5004, mine));
  REQUIRE(all().begin_collecting(5004, mine));
  yielding scope([] {});
  CHECK_FALSE(all().claim(5004, others));
  CHECK(yields >= 100);
  all().end_collecting(5004, mine, true);
}

TEST_CASE("a mark is never that of two reapers, nor above 31 bits") {
  auto first = all().new_mark();
  auto second = all().new_mark();
  CHECK(first != 0);
  CHECK(first != second);
  CHECK((first | second) < 1u << 31);
}

TEST_CASE("of many threads that want the same numbers each gets its own, and none twice") {
  constexpr int threads = 4;
  constexpr int rounds = 20'000;
  constexpr pid_t pids = 16;
  std::array<std::atomic<int>, pids> owners{};
  std::atomic<int> doubles{0};
  std::atomic<int> claimed{0};
  std::vector<std::thread> crowd;
  for (int number = 0; number < threads; ++number) {
    crowd.emplace_back([&, number] {
      auto word = claims::word_of(static_cast<std::uint32_t>(number) + 1, 77);
      unsigned random = static_cast<unsigned>(number) + 1;
      for (int i = 0; i < rounds; ++i) {
        random = random * 1664525u + 1013904223u;
        auto which = static_cast<std::size_t>((random >> 16) % pids);
        auto pid = static_cast<pid_t>(6000 + which);
        if (!all().claim(pid, word)) continue;
        ++claimed;
        if (owners[which].fetch_add(1) != 0) ++doubles;
        if ((random & 1u) != 0 && all().begin_collecting(pid, word)) all().end_collecting(pid, word, false);
        owners[which].fetch_sub(1);
        if ((random & 2u) == 0) {
          all().drop(pid, word);
        } else if (all().begin_collecting(pid, word)) {
          all().end_collecting(pid, word, true);
        }
      }
    });
  }
  for (auto& thread : crowd) thread.join();
  CHECK(doubles == 0);
  CHECK(claimed > rounds);
  for (pid_t pid = 6000; pid < 6000 + pids; ++pid) CHECK_FALSE(all().is_claimed(pid));
}

TEST_CASE("no more pidfds are held than the limit says, and what is let go is another's") {
  REQUIRE(all().held() == 0);
  CHECK(all().hold(2));
  CHECK(all().hold(2));
  CHECK_FALSE(all().hold(2));
  CHECK(all().hold(3));  // of one that may hold more
  CHECK(all().held() == 3);
  for (int i = 0; i < 3; ++i) all().let_go();
  CHECK(all().held() == 0);
}

TEST_CASE("at most 1 024 pidfds are held, and a quarter of the descriptors that the process may have now") {
  ::rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  ::rlimit few = before;
  few.rlim_cur = 256;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  CHECK(claims::most_held() == 64);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(claims::most_held() == std::min<rlim_t>(1024, before.rlim_cur / 4));
}

TEST_CASE("a forked child finds nothing claimed and nothing held, and leaves its parent's claims alone") {
  REQUIRE(all().claim(5014, mine));
  REQUIRE(all().claim(5015, mine));
  REQUIRE(all().begin_collecting(5015, mine));  // whatever stood at the moment of the fork
  REQUIRE(all().hold(1));
  CHECK(in_a_child([] {
          claims& here = *claims::of_this_process();
          bool empty = here.claim(5014, mine) && here.claim(5015, mine) && here.held() == 0;
          here.drop(5014, mine);
          return empty ? 1 : 0;
        }) == 1);
  CHECK_FALSE(all().claim(5014, mine));
  all().drop(5014, mine);
  all().end_collecting(5015, mine, true);
  all().let_go();
}

TEST_CASE("one reaper of the process has any()") {
  for (bool on_main_thread : {true, false, true}) {
    CHECK(all().claim_any(on_main_thread) == 0);
    CHECK(all().claim_any(true) == UV_EBUSY);
    CHECK(all().claim_any(false) == UV_EBUSY);
    all().drop_any();
  }
}

TEST_CASE("any() off the main thread and spawning off the loop exclude each other, spawning for good") {
  REQUIRE(all().claim_any(false) == 0);
  CHECK_FALSE(all().claim_spawning());
  all().drop_any();
  REQUIRE(all().claim_any(true) == 0);
  CHECK(all().claim_spawning());
  all().drop_any();
  CHECK(all().claim_any(false) == UV_ENOTSUP);
  CHECK(all().claim_any(true) == 0);
  all().drop_any();
  CHECK(all().claim_spawning());
}

TEST_CASE("a process keeps its generation, and a child and a grandchild have others") {
  auto ours = all().generation();
  CHECK(ours != 0);
  CHECK(all().generation() == ours);
  int answer = in_a_child([ours] {
    claims& here = *claims::of_this_process();
    auto child = here.generation();
    if (child == ours || child == 0 || here.generation() != child) return 1;
    return in_a_child([ours, child] {
      auto grandchild = claims::of_this_process()->generation();
      return grandchild != ours && grandchild != child && grandchild != 0 ? 42 : 2;
    });
  });
  CHECK(answer == 42);
  CHECK(all().generation() == ours);
}

TEST_CASE("generations differ down a line of descent in which some processes never asked for theirs") {
  auto ours = all().generation();
  int answer = in_a_child([ours] {  // never asks
    return in_a_child([ours] { return claims::of_this_process()->generation() != ours ? 42 : 1; });
  });
  CHECK(answer == 42);
}

TEST_CASE("threads that ask for the generation at once are told the same") {
  int answer = in_a_child([] {  // where nobody has asked yet
    std::array<std::uint64_t, 8> told{};
    std::vector<std::thread> crowd;
    for (auto& one : told) crowd.emplace_back([&one] { one = claims::of_this_process()->generation(); });
    for (auto& thread : crowd) thread.join();
    for (auto one : told) {
      if (one == 0 || one != told[0]) return 1;
    }
    return 42;
  });
  CHECK(answer == 42);
}
