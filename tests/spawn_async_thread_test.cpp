// What is of the spawner's thread in a child that is made off the loop, and what is of the process.
#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/own_process.hpp"
#include "support/spawns.hpp"

using uvreap::command;

namespace {

// Runs it to its end, off the loop; what it wrote.
std::string written_by(test::stage& stage, command what) {
  test::spawned_child child;
  what.capture(1000);
  REQUIRE(child.ask(stage.reaper, what) == 0);
  stage.run_until([&] { return child.has_ended(); });
  REQUIRE(child.was_told_once());
  return child.ended[0].output.bytes;
}

command status_of(const std::string& field) { return {.argv = {"grep", field, "/proc/self/status"}}; }

int policy_of_thread(const std::string& name) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string is;
    std::getline(std::ifstream(task.path() / "comm"), is);
    if (is == name) return ::sched_getscheduler(std::stoi(task.path().filename()));
  }
  return -1;
}

// It takes it after the child is made, in its own time.
bool comes_to_sleep_by(int policy) {
  for (int tries = 0; tries < 5000; ++tries, ::usleep(1000)) {
    if (policy_of_thread("uvreap-spawner") == policy) return true;
  }
  return false;
}

std::string line(const char* text, int value) { return text + std::to_string(value) + "\n"; }

}  // namespace

TEST_CASE("nice, affinity and no_new_privs are those of the moment of the first call in the process") {
  (void)test::apart(test::place::plain, [] {
    test::stage stage;
    int nice = ::getpriority(PRIO_PROCESS, 0);
    if (nice == 19) {
      MESSAGE("SKIP: the suite is as nice as can be");
      return;
    }
    std::string allowed = written_by(stage, status_of("Cpus_allowed_list"));  // and so there is a thread
    REQUIRE(written_by(stage, status_of("NoNewPrivs")) == "NoNewPrivs:\t0\n");

    // In Linux these are the calling thread's, and no other's.
    REQUIRE(::setpriority(PRIO_PROCESS, 0, nice + 1) == 0);
    REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(written_by(stage, {.argv = {"nice"}}) == line("", nice));
    CHECK(written_by(stage, status_of("NoNewPrivs")) == "NoNewPrivs:\t0\n");
    CHECK(written_by(stage, status_of("Cpus_allowed_list")) == allowed);

    // As they are in the children of this thread.
    CHECK(test::output_of(stage, {.argv = {"nice"}}) == line("", nice + 1));
    CHECK(test::output_of(stage, status_of("NoNewPrivs")) == "NoNewPrivs:\t1\n");
  });
}

TEST_CASE("the thread sleeps as one that gives way to the loops that wake it, and its children do not") {
  command look{.argv = {"awk", "{ print $41 }", "/proc/self/stat"}};  // the policy, proc(5)
  (void)test::apart(test::place::plain, [&] {
    test::stage stage;
    CHECK(written_by(stage, look) == line("", SCHED_OTHER));
    CHECK(comes_to_sleep_by(SCHED_BATCH));
    CHECK(written_by(stage, look) == line("", SCHED_OTHER));
  });
  for (int policy : {SCHED_BATCH, SCHED_FIFO}) {  // what the program has chosen is the children's, too
    (void)test::apart(test::place::plain, [&] {
      sched_param chosen{.sched_priority = policy == SCHED_FIFO ? 1 : 0};
      if (::sched_setscheduler(0, policy, &chosen) != 0) {
        MESSAGE("SKIP: this policy is refused here");
        return;
      }
      test::stage stage;
      CHECK(written_by(stage, look) == line("", policy));
      CHECK(comes_to_sleep_by(policy));
    });
  }
}

TEST_CASE("umask and ignored signals, which are the process's, are those of the moment of the making") {
  (void)test::apart(test::place::plain, [] {
    test::stage stage;
    command look = test::shell("umask; grep SigIgn /proc/self/status");
    look.signals = uvreap::child_signals::inherited;
    look.capture(1000);
    ::umask(022);
    test::spawned_child child;
    {
      test::long_spawn first(stage.reaper);
      REQUIRE(child.ask(stage.reaper, look) == 0);
      ::umask(027);
      ::signal(SIGUSR1, SIG_IGN);
      first.open();
      stage.run_dry();
    }
    REQUIRE(child.was_told_once());
    std::string text = child.ended[0].output.bytes;
    CHECK(text.starts_with("0027\n"));
    std::uint64_t ignored = std::stoull(text.substr(text.find('\t') + 1), nullptr, 16);
    CHECK((ignored >> (SIGUSR1 - 1) & 1) == 1);
  });
}
