// What a child used: its CPU time, its memory, the sums, and whose use is counted.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "support/stage.hpp"

using std::chrono::microseconds;
using std::chrono::milliseconds;
using uvreap::child_exit;
using uvreap::resource_usage;

namespace {

// Until this process has used so much CPU time, however long a busy machine takes for it.
void use_cpu(milliseconds time) {
  timespec used{};
  do {
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  } while (std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec) < time);
}

void touch_memory(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) ::_exit(77);
  ::madvise(memory, bytes, MADV_NOHUGEPAGE);  // a fault for every page
  auto* byte = static_cast<volatile char*>(memory);
  for (std::size_t at = 0; at < bytes; at += 4096) byte[at] = 1;
}

std::int64_t microseconds_of(const timeval& time) { return time.tv_sec * 1'000'000L + time.tv_usec; }

microseconds cpu(const resource_usage& usage) { return usage.user_time + usage.system_time; }

child_exit told_of(test::stage& stage, pid_t pid) {
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  stage.run_until([&] { return !told.empty(); });
  CHECK(told[0].pid == pid);
  return told[0];
}

// Somebody else took it, or nobody could: lost, or on the rung that holds pidfds recovered, with a status and
// no more.
void check_has_no_usage(const child_exit& exit, pid_t pid) {
  child_exit expected{.pid = pid, .lost = true, .noticed_by = exit.noticed_by};
  if (exit.recovered) {
    expected.lost = false;
    expected.recovered = true;
    expected.status = uvreap::wait_status(test::exited_with(0));
  }
  CHECK(exit == expected);
}

uvreap::options quick_to_find_losses() {
  auto options = test::options_of_this_run();
  options.poll_every = milliseconds(20);
  return options;
}

// A child of each kind, so that no part of the sums is zero.
int live_as(int kind) {
  switch (kind) {
    case 0:
      return 3;
    case 1:
      ::kill(::getpid(), SIGKILL);
      return 99;
    case 2:
      use_cpu(milliseconds(4));
      return 0;
    case 3:
      for (int naps = 0; naps < 50; ++naps) ::usleep(1);  // each is a voluntary switch
      return 0;
    case 4:
      touch_memory(1 << 20);
      return 0;
    default:
      ::waitpid(test::make_child([] { return use_cpu(milliseconds(2)), 0; }), nullptr, 0);
      return 0;
  }
}

// Orphans come to us as long as this lives, instead of to the init of the machine.
class adopting {
 public:
  adopting() { REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL) == 0); }
  ~adopting() { ::prctl(PR_SET_CHILD_SUBREAPER, 0UL, 0UL, 0UL, 0UL); }
  adopting(const adopting&) = delete;
  adopting& operator=(const adopting&) = delete;
};

class sigchld_ignored {
 public:
  sigchld_ignored() {
    struct ::sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGCHLD, &ignore, &before_);
  }
  ~sigchld_ignored() { ::sigaction(SIGCHLD, &before_, nullptr); }
  sigchld_ignored(const sigchld_ignored&) = delete;
  sigchld_ignored& operator=(const sigchld_ignored&) = delete;

 private:
  struct ::sigaction before_ {};
};

}  // namespace

TEST_CASE("the CPU time that a child used is told, and no other's") {
  test::stage stage;
  test::gate gate;
  pid_t idle = test::make_child([&] { return gate.wait(), 0; });
  pid_t busy = test::make_child([] { return use_cpu(milliseconds(310)), 0; });
  child_exit of_busy = told_of(stage, busy);
  gate.open();
  child_exit of_idle = told_of(stage, idle);
  CHECK(cpu(of_busy.usage) >= milliseconds(300));
  // A wrong unit or a sum over others would be far off; a busy machine makes CPU time dearer.
  CHECK(cpu(of_busy.usage) < milliseconds(3000));
  CHECK(cpu(of_idle.usage) < milliseconds(150));
}

TEST_CASE("the memory that a child touched is told in bytes") {
  constexpr std::int64_t mebibyte = 1 << 20;
  test::stage stage;
  child_exit of_small = told_of(stage, test::make_child_exiting(0));
  // Two MiB more than is asked for below: the faults that both have in common differ by a page from run to
  // run.
  child_exit of_large = told_of(stage, test::make_child([] { return touch_memory(68 * mebibyte), 0; }));
  REQUIRE(of_large.status.success());
  CHECK(of_large.usage.max_rss_bytes >= 64 * mebibyte);
  // getrusage(2) says KiB: taken for bytes, or multiplied once too often, it would miss this by far. What the
  // child had of us when it was forked counts too.
  CHECK(of_large.usage.max_rss_bytes - of_small.usage.max_rss_bytes >= 48 * mebibyte);
  CHECK(of_large.usage.max_rss_bytes - of_small.usage.max_rss_bytes < 1024 * mebibyte);
  CHECK(of_large.usage.minor_faults - of_small.usage.minor_faults >= 66 * mebibyte / ::getpagesize());
}

TEST_CASE("what is told of hundreds of children adds up to what the kernel charged us for them") {
  constexpr int count = 300;
  test::stage stage;
  ::rusage before{};
  ::getrusage(RUSAGE_CHILDREN, &before);
  int told = 0;
  resource_usage sum;
  for (int i = 0; i < count; ++i) {
    pid_t pid = test::make_child([i] { return live_as(i % 6); });
    auto add = [&](const child_exit& exit) {
      ++told;
      sum.user_time += exit.usage.user_time;
      sum.system_time += exit.usage.system_time;
      sum.minor_faults += exit.usage.minor_faults;
      sum.major_faults += exit.usage.major_faults;
      sum.voluntary_switches += exit.usage.voluntary_switches;
    };
    REQUIRE(stage.reaper.watch(pid, add) == 0);
  }
  stage.run_until([&] { return told == count; });
  ::rusage after{};
  ::getrusage(RUSAGE_CHILDREN, &after);

  CHECK(sum.minor_faults == after.ru_minflt - before.ru_minflt);
  CHECK(sum.major_faults == after.ru_majflt - before.ru_majflt);
  CHECK(sum.minor_faults > count / 6 * 256);

  // Each told time is cut to a microsecond, and a zombie on its last steps off the CPU may use another few,
  // and make its one last switch, between the two looks that the kernel takes inside one wait4.
  auto user = microseconds_of(after.ru_utime) - microseconds_of(before.ru_utime);
  auto system = microseconds_of(after.ru_stime) - microseconds_of(before.ru_stime);
  auto switches = after.ru_nvcsw - before.ru_nvcsw;
  CHECK(std::abs(sum.user_time.count() + sum.system_time.count() - user - system) <= 20 * count);
  CHECK(std::abs(sum.user_time.count() - user) <= 20 * count);
  CHECK(std::abs(sum.voluntary_switches - switches) <= count);
  CHECK(user + system >= count / 6 * 6'000);  // so those limits are a small part of it
  CHECK(switches >= count / 6 * 50);
}

TEST_CASE("a grandchild that the child waited for is included") {
  test::stage stage;
  pid_t pid = test::make_child([] {
    pid_t grandchild = test::make_child([] { return use_cpu(milliseconds(210)), 0; });
    return ::waitpid(grandchild, nullptr, 0) == grandchild ? 0 : 99;
  });
  child_exit exit = told_of(stage, pid);
  CHECK(exit.status.success());
  CHECK(cpu(exit.usage) >= milliseconds(200));
}

TEST_CASE("a grandchild that the child did not wait for is not included") {
  test::stage stage;
  adopting orphans;
  test::truth_page page(1);
  pid_t pid = test::make_child([&page] {
    pid_t grandchild = test::make_child([] { return use_cpu(milliseconds(210)), 0; });
    page.plan(0, grandchild);
    test::wait_until_ended(grandchild);  // its time is used up by now, and nobody has collected it
    return 0;
  });
  child_exit exit = told_of(stage, pid);
  CHECK(exit.status.success());
  CHECK(cpu(exit.usage) < milliseconds(150));
  ::rusage of_orphan{};
  CHECK(::wait4(page.planned(0), nullptr, 0, &of_orphan) == page.planned(0));
  CHECK(microseconds_of(of_orphan.ru_utime) + microseconds_of(of_orphan.ru_stime) >= 200'000);
}

TEST_CASE("a lost child has no usage, and not the one of the child before it") {
  test::stage stage(quick_to_find_losses());
  CHECK(cpu(told_of(stage, test::make_child([] { return use_cpu(milliseconds(50)), 0; })).usage) >
        milliseconds(40));

  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), use_cpu(milliseconds(20)), 0; });
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  gate.open();
  CHECK(::waitpid(pid, nullptr, 0) == pid);  // stolen
  stage.run_until([&] { return !told.empty(); });
  REQUIRE(told.size() == 1);
  check_has_no_usage(told[0], pid);
}

TEST_CASE("a child that ends while SIGCHLD is ignored has no usage, for the kernel keeps none") {
  test::stage stage(quick_to_find_losses());
  test::gate gate;
  pid_t pid = test::make_child([&] { return gate.wait(), use_cpu(milliseconds(20)), 0; });
  std::vector<child_exit> told;
  REQUIRE(stage.reaper.watch(pid, [&](const child_exit& exit) { told.push_back(exit); }) == 0);
  ::rusage before{};
  ::rusage after{};
  ::getrusage(RUSAGE_CHILDREN, &before);
  {
    sigchld_ignored ignored;
    gate.open();
    test::wait_until_ended(pid);
    ::getrusage(RUSAGE_CHILDREN, &after);
  }
  CHECK(microseconds_of(after.ru_utime) == microseconds_of(before.ru_utime));
  stage.run_until([&] { return !told.empty(); });
  REQUIRE(told.size() == 1);
  check_has_no_usage(told[0], pid);
}
