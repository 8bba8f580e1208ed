#include "own_process.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>

#include "children.hpp"
#include "uvreap/process.hpp"

namespace test {
namespace {

constexpr int failed = 1;
constexpr int refused = 77;

bool a_check_failed = false;

// doctest keeps its counters to itself, and they stay in the forked process: there a failure becomes an exit
// code.
struct failure_listener : doctest::IReporter {
  explicit failure_listener(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override { a_check_failed = true; }
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData& assertion) override {
    if (assertion.m_failed) a_check_failed = true;
  }
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("failures", 1, failure_listener);

int run(const std::function<void()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(120);
  a_check_failed = false;
  try {
    body();
  } catch (const std::exception& error) {
    std::cerr << "FAILED: " << error.what() << std::endl;
    a_check_failed = true;
  } catch (...) {  // a REQUIRE
    a_check_failed = true;
  }
  clean_up_children();
  std::cout.flush();
  return a_check_failed ? failed : 0;
}

int refuse(const char* what) {
  std::cout << "SKIP: " << what << ": " << std::strerror(errno) << std::endl;
  return refused;
}

int wait_for(pid_t pid) {
  int word = 0;
  while (::waitpid(pid, &word, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(word) ? WEXITSTATUS(word) : failed;
}

int run_as_pid_1(bool own_proc, const std::function<void()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return refuse("no pid namespace");
  if (::mount("none", "/", "none", MS_REC | MS_PRIVATE, nullptr) != 0) return refuse("no private mounts");
  pid_t init = ::fork();
  if (init < 0) return refuse("no PID 1");
  if (init > 0) return wait_for(init);
  if (own_proc && ::mount("proc", "/proc", "proc", 0, nullptr) != 0) ::_exit(refuse("no /proc of its own"));
  ::_exit(run(body));
}

int run_in(place where, const std::function<void()>& body) {
  if (where == place::pid_1) return run_as_pid_1(true, body);
  if (where == place::pid_1_foreign_proc) return run_as_pid_1(false, body);
  if (where == place::subreaper && uvreap::become_subreaper() != 0) return refuse("no subreaper");
  return run(body);
}

}  // namespace

bool apart(place where, const std::function<void()>& body) {
  std::cout.flush();
  pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) ::_exit(run_in(where, body));
  int code = wait_for(pid);
  CAPTURE(name_of(where));
  CHECK_MESSAGE((code == 0 || code == refused), "a check failed, or the process was killed");
  return code != refused;
}

const char* name_of(place where) {
  switch (where) {
    case place::plain:
      return "in a process of its own";
    case place::subreaper:
      return "as a subreaper";
    case place::pid_1:
      return "as PID 1";
    case place::pid_1_foreign_proc:
      return "as PID 1 under a foreign /proc";
  }
  return "nowhere";
}

void lose_proc() {
  while (::umount2("/proc", MNT_DETACH) == 0) {  // the one under it too
  }
  REQUIRE(::access("/proc/self", F_OK) != 0);
}

void find_proc_again() { REQUIRE(::mount("proc", "/proc", "proc", 0, nullptr) == 0); }

}  // namespace test
