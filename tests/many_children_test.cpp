// any() beside thousands of live children. Run alone: four of these would leave the machine no pid for
// others.
#include <doctest/doctest.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/orphans.hpp"
#include "support/own_process.hpp"
#include "support/sanitizers.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::milliseconds;
using test::place;
using uvreap::child_exit;

namespace {

// A child that costs next to nothing: our memory, a stack of its own, asleep until it is killed. Nothing in
// it may touch what a thread has for itself, such as errno: it has none.
__attribute__((no_sanitize("address", "thread", "undefined"))) int sleeper(void*) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) ::syscall(SYS_ppoll, nullptr, 0, nullptr, nullptr, 0);
}

class sleepers {
 public:
  explicit sleepers(int count) {
    constexpr std::size_t stack = 16'384;
    size_ = stack * static_cast<std::size_t>(count);
    void* memory =
        ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    stacks_ = static_cast<char*>(memory);
    for (int i = 0; i < count; ++i) {
      char* top = stacks_ + stack * static_cast<std::size_t>(i + 1);
      pid_t pid = ::clone(sleeper, top, CLONE_VM | SIGCHLD, nullptr);
      if (pid < 0) break;  // the machine has no more
      pids_.push_back(pid);
    }
  }
  ~sleepers() {
    for (pid_t pid : pids_) {
      if (::waitpid(pid, nullptr, WNOHANG) != 0) continue;  // gone, and its number may be a stranger's
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    ::munmap(stacks_, size_);
  }
  sleepers(const sleepers&) = delete;
  sleepers& operator=(const sleepers&) = delete;
  [[nodiscard]] std::size_t count() const { return pids_.size(); }

 private:
  std::size_t size_ = 0;
  char* stacks_ = nullptr;
  std::vector<pid_t> pids_;
};

}  // namespace

// TSan has no place for processes that share the memory of this one.
TEST_CASE(
    "beside ten thousand live children that are none of ours orphans are told, a bounded part of the work a "
    "pass" *
    doctest::skip(test::under_tsan)) {
  test::apart(place::subreaper, [] {
    sleepers others(10'000);
    if (others.count() < 10'000) MESSAGE("fewer than asked for: ", others.count());
    std::vector<child_exit> told;
    auto options = test::any_options(milliseconds(100), &told);
    if (test::poller_alone()) options.poll_every = milliseconds(100);
    test::stage stage(options);
    stage.leaves_children = true;
    test::orphans orphans(50, milliseconds(2));
    orphans.make();
    orphans.let_end();
    stage.run_until([&] { return told.size() == 50; });
    orphans.check(told);
    // Generous, for a machine that is busy; on a quiet one it stays under 1 ms.
    MESSAGE("longest pass: ", stage.reaper.stats().longest_sweep.count() / 1000, " us");
    CHECK(stage.reaper.stats().longest_sweep < milliseconds(10));
    CHECK(stage.reaper.stats().reaped == 50);
  });
}

TEST_CASE(
    "behind thousands of children orphans of another user are told, although /proc hides its processes" *
    doctest::skip(test::under_tsan)) {
  bool ran = test::apart(place::pid_1, [] {
    REQUIRE(::mount("proc", "/proc", "proc", 0, "hidepid=2") == 0);
    sleepers others(4'000);
    if (others.count() < 4'000) MESSAGE("fewer than asked for: ", others.count());
    test::orphans orphans(10);
    orphans.make();
    constexpr id_t nobody = 65'534;
    REQUIRE(::setgroups(0, nullptr) == 0);
    REQUIRE(::setegid(nobody) == 0);
    REQUIRE(::seteuid(nobody) == 0);
    REQUIRE(::prctl(PR_SET_DUMPABLE, 1) == 0);  // or /proc/self is no longer ours
    auto hidden = "/proc/" + std::to_string(orphans.pid());
    struct stat unused {};
    REQUIRE(::stat(hidden.c_str(), &unused) != 0);

    std::vector<child_exit> told;
    test::stage stage(test::any_options(milliseconds(0), &told));
    stage.leaves_children = true;
    stage.run_for(milliseconds(100));  // a round, after which they are known to be many
    orphans.let_end();
    stage.run_until([&] { return told.size() == 10; });
    orphans.check(told);
  });
  if (!ran) MESSAGE("SKIP: no pid namespace");
}
