// How a child can be killed, told bit for bit: signals, cores, limits and filters.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/endings.hpp"

using test::core_bit;
using test::endings;

namespace {

bool is_fatal_by_default(int signum) {
  for (int harmless : {SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU}) {
    if (signum == harmless) return false;
  }
  return true;
}

constexpr std::array core_signals = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
                                     SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};

class private_directory {
 public:
  private_directory() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
  ~private_directory() { std::filesystem::remove_all(path_); }
  private_directory(const private_directory&) = delete;
  private_directory& operator=(const private_directory&) = delete;
  [[nodiscard]] const char* path() const { return path_.c_str(); }

 private:
  std::string path_ = "/tmp/uvreap-core-XXXXXX";
};

// Empty: a core lands in the working directory of who dies. That pattern is the machine's, and is only read
// here.
std::string why_no_core_lands_here() {
  std::ifstream file("/proc/sys/kernel/core_pattern");
  std::string pattern;
  std::getline(file, pattern);
  if (pattern.empty()) return "there is no core pattern";
  if (pattern[0] == '|' || pattern[0] == '@') return "the core pattern hands cores to a program";
  if (pattern.find('/') != std::string::npos) return "the core pattern names a directory that is not ours";
  ::rlimit limit{};
  ::getrlimit(RLIMIT_CORE, &limit);
  return limit.rlim_max == 0 ? "the hard limit of RLIMIT_CORE is 0" : "";
}

void die_with_core_limit(const private_directory& in, bool unlimited, int signum) {
  ::rlimit limit{};
  ::getrlimit(RLIMIT_CORE, &limit);
  limit.rlim_cur = unlimited ? limit.rlim_max : 0;
  // A directory each: of two that write "core" at once, one fails. No memory in the core (core(5)): the bit
  // is what counts, and a sanitizer's shadow would fill the disk. is what counts, and a sanitizer's shadow
  // would fill the disk.
  int filter = ::open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
  if (filter < 0 || ::write(filter, "0", 1) != 1 || ::chdir(in.path()) != 0) ::_exit(test::refused);
  std::string own = std::to_string(::getpid());
  if (::mkdir(own.c_str(), 0700) != 0 || ::chdir(own.c_str()) != 0) ::_exit(test::refused);
  if (::setrlimit(RLIMIT_CORE, &limit) != 0) ::_exit(test::refused);
  test::die_by(signum);
}

// Where a division by zero is a fault: arm64 makes 0 of it.
[[maybe_unused]] __attribute__((no_sanitize("undefined"))) int divided(int number, int by) {
  return number / by;  // NOLINT(clang-analyzer-core.DivideZero): that is what it is for
}

void die_by_seccomp() {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),  // the system call's number comes first in seccomp_data
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog filter{.len = program.size(), .filter = program.data()};
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  bool held = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
              ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
  if (!held) ::_exit(test::refused);
  ::syscall(SYS_getppid);
}

void spin_under_cpu_limit(rlim_t soft, rlim_t hard) {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::rlimit limit{.rlim_cur = soft, .rlim_max = hard};
  if (::setrlimit(RLIMIT_CPU, &limit) != 0) ::_exit(test::refused);
  volatile bool for_ever = true;  // a loop that does nothing at all may be removed
  while (for_ever) {
  }
}

}  // namespace

TEST_CASE("every signal that is fatal by default is told as the one that killed") {
  test::stage stage;
  endings all(stage, 32);
  int made = 0;
  std::vector<int> killing;
  for (int signum = 1; signum < 32; ++signum) {
    if (!is_fatal_by_default(signum)) continue;
    ++made;
    if (test::word_without_reaper([signum] { test::die_without_core(signum); }) != test::killed_by(signum)) {
      MESSAGE("SKIP: signal ", signum,
              " does not kill here, reaper or none");  // valgrind keeps some to itself
      continue;
    }
    killing.push_back(signum);
    all.add(signum, test::killed_by(signum), [signum] { test::die_without_core(signum); });
  }
  CHECK(made == 23);
  all.run();
  for (int signum : killing) {
    all.check(signum);
    CHECK(all.told(signum).status.term_signal() == signum);
    CHECK_FALSE(all.told(signum).status.core_dumped());
  }
}

TEST_CASE("every real-time signal up to 64 kills, and is never read as a stop") {
  test::stage stage;
  endings all(stage, 65);
  for (int signum = SIGRTMIN; signum <= SIGRTMAX; ++signum) {
    all.add(signum, test::killed_by(signum), [signum] { test::die_without_core(signum); });
  }
  all.run();
  for (int signum = SIGRTMIN; signum <= SIGRTMAX; ++signum) {
    if (all.was_refused(signum)) {  // valgrind keeps one for itself
      MESSAGE("SKIP: signal ", signum, " cannot be sent here");
      continue;
    }
    all.check(signum);
    CHECK(all.told(signum).status.signaled());
    CHECK_FALSE(all.told(signum).status.stopped());
  }
}

TEST_CASE("the core bit is set when a core was written, and only then") {
  if (std::string why = why_no_core_lands_here(); !why.empty()) {
    MESSAGE("SKIP: ", why);
    return;
  }
  private_directory directory;
  int control = test::word_without_reaper([&] { die_with_core_limit(directory, true, SIGQUIT); });
  if (control != (test::killed_by(SIGQUIT) | core_bit)) {
    MESSAGE("SKIP: this system writes no core, the control's word is ", control);
    return;
  }
  test::stage stage;
  endings with(stage, 32);
  endings without(stage, 32);
  for (int signum : core_signals) {
    with.add(signum, test::killed_by(signum) | core_bit,
             [&, signum] { die_with_core_limit(directory, true, signum); });
    without.add(signum, test::killed_by(signum),
                [&, signum] { die_with_core_limit(directory, false, signum); });
  }
  with.run();
  without.run();
  for (int signum : core_signals) {
    with.check(signum);
    without.check(signum);
    CHECK(with.told(signum).status.core_dumped());
    CHECK(with.told(signum).status.term_signal() == signum);
  }
}

TEST_CASE("a division by zero is told as SIGFPE") {
#if defined(__x86_64__) || defined(__i386__)
  test::stage stage;
  endings all(stage, 1);
  all.add(0, test::killed_by(SIGFPE), [] {
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    ::signal(SIGFPE, SIG_DFL);
    volatile int number = 100;  // not 1: the compiler knows a way to 1 / n that does not divide
    volatile int zero = 0;
    volatile int result = divided(number, zero);
    (void)result;
  });
  all.run();
  all.check(0);
#else
  MESSAGE("SKIP: a division by zero does not trap on this processor");
#endif
}

TEST_CASE("a system call that a seccomp filter forbids is told as SIGSYS") {
  test::stage stage;
  endings all(stage, 1);
  all.add(0, test::killed_by(SIGSYS), [] { ::signal(SIGSYS, SIG_DFL), die_by_seccomp(); });
  all.run();
  if (all.was_refused(0)) {
    MESSAGE("SKIP: no seccomp filter can be installed here");
    return;
  }
  all.check(0);
}

TEST_CASE("a used up CPU limit is told as SIGXCPU, and as SIGKILL at the hard limit") {
  test::stage stage;
  endings all(stage, 2);
  all.add(0, test::killed_by(SIGXCPU), [] { spin_under_cpu_limit(1, 30); });
  all.add(1, test::killed_by(SIGKILL),
          [] { spin_under_cpu_limit(1, 1); });  // the kernel asks the hard one first
  all.run();
  all.check(0);
  all.check(1);
}
