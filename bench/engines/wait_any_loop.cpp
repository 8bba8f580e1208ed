// A bare wait4(-1) loop: the least that many children at once can cost without a backend. And the same with
// uvreap's probe before each wait4.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_map>
#include <uvreap/reaper.hpp>

#include "../engine.hpp"
#include "kernel_version.hpp"

namespace bench {
namespace {

// What a sweep of the reaper's costs without a reaper: CPU time of this thread over as many children as a
// sweep may take, or what its time allows, by a clock that is read every 8 children.
class bare_pass {
 public:
  void called() {
    if (began_ == 0) began_ = thread_cpu_time();  // what came before was making children
    if (++calls_ % 8 != 0) return;
    std::int64_t cpu = thread_cpu_time();
    std::int64_t spent = cpu - began_;
    longest_ = std::max(longest_, spent);
    if (calls_ < of_a_sweep_.budget && spent < std::chrono::nanoseconds(of_a_sweep_.budget_time).count()) {
      return;
    }
    began_ = cpu;
    calls_ = 0;
  }
  [[nodiscard]] double longest_us() const { return static_cast<double>(longest_) / 1000; }

 private:
  uvreap::options of_a_sweep_;
  std::int64_t began_ = 0;
  std::int64_t longest_ = 0;
  int calls_ = 0;
};

class wait_any_loop : public engine {
 public:
  wait_any_loop(engine_setting setting, bool probes) : engine(std::move(setting)), probes_(probes) {}
  std::string start() override { return {}; }
  void watch(pid_t pid, int slot) override { slots_[pid] = slot; }
  void turn(bool may_sleep) override {
    int options = may_sleep ? 0 : WNOHANG;
    pid_t pid = probes_ ? probe_and_wait(options) : ::wait4(-1, nullptr, options, nullptr);
    if (auto found = slots_.find(pid); found != slots_.end()) {
      int slot = found->second;
      slots_.erase(found);
      told(slot);
    }
    pass_.called();
  }
  [[nodiscard]] std::vector<own_figure> own_figures() const override {
    return {{"longest_sweep", "us", pass_.longest_us()}};
  }

 private:
  // As uvreap probes a child whose pidfd it does not hold, as most are in a burst: has it ended, and is it
  // the one that was born then? Four system calls.
  static pid_t probe_and_wait(int options) {
    siginfo_t about{};
    if (::waitid(P_ALL, 0, &about, options | WEXITED | WNOWAIT) != 0 || about.si_pid == 0) return 0;
    auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, about.si_pid, 0));
    struct ::stat birth {};
    if (pidfd < 0 || ::fstat(pidfd, &birth) != 0) return 0;
    ::close(pidfd);
    return ::wait4(about.si_pid, nullptr, WNOHANG, nullptr);
  }

  bool probes_;
  std::unordered_map<pid_t, int> slots_;
  bare_pass pass_;
};

engine_entry entry(const char* name, bool probes) {
  return {.name = name,
          .version = kernel_version(),
          .make = maker<wait_any_loop>(probes),
          .takes_any_child = true};
}

}  // namespace

std::vector<engine_entry> wait_any_loop_entries() {
  return {entry("wait_any_loop", false), entry("probe_any_loop", true)};
}

}  // namespace bench
