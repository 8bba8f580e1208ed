// A scripted kernel behind the library's seam (lib/src/syscalls.hpp): a table of children that live, stop and
// end when the test says so, and faults that no real kernel gives on demand.
//
//     test::fake_kernel kernel;
//     pid_t pid = kernel.born();
//     kernel.ends(pid, test::exited_with(3));
//     kernel.plan({.where = fake_call::wait4, .error = EINTR, .times = 2});
//
// While one exists it answers for the process; at other times, and for the calls that a test lets through,
// the library's own system calls do. It is for one thread, and never blocks: a wait without WNOHANG for a
// child that is not ready ends the program.
//
// tests/fake_kernel_test.cpp runs the same scripts on it and on the real kernel and compares every answer.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

namespace test {

enum class fake_call {
  wait4,
  waitid,
  fork,
  pidfd_open,
  pidfd_send_signal,
  kill,
  pid_of_pidfd,
  exit_word_of_pidfd,
  sigaction,
  thread_mask,
  sigpending,
  monotonic_ns,
  thread_cpu_ns,
};
constexpr std::size_t fake_calls = 13;

enum class owner { ours, foreign };

// What the k-th call from now on answers, and so many after it.
struct fault {
  fake_call where;
  int error = 0;      // errno
  pid_t result = -1;  // what the call returns; for waitid: of the call
  int word = 0;       // wait4, if result is positive: the status written
  pid_t pid = 0;      // only calls for this number count; 0: all
  std::uint64_t from = 1;
  std::uint64_t times = 1;
};
constexpr std::uint64_t for_ever = ~std::uint64_t{0} / 2;

class fake_kernel {
 public:
  fake_kernel();
  ~fake_kernel();
  fake_kernel(const fake_kernel&) = delete;
  fake_kernel& operator=(const fake_kernel&) = delete;

  // ---- children ----
  pid_t born(owner = owner::ours);  // the next number
  void born_as(pid_t, owner = owner::ours);
  void ends(pid_t, int word, const ::rusage& = {});
  void stops(pid_t, int signum);  // again while stopped is nothing, as SIGSTOP is
  void continues(pid_t);          // nothing if it is not stopped
  bool stolen(pid_t);             // somebody else waits for it; false: it has not ended
  void traced(pid_t, bool);       // by another process: its end is not shown to us, wait says 0
  void silent(pid_t);             // made by clone() with another exit signal: invisible without __WALL

  [[nodiscard]] bool exists(pid_t pid) const { return children_.contains(pid); }
  [[nodiscard]] bool is_zombie(pid_t) const;
  [[nodiscard]] std::uint64_t foreign_taken() const { return foreign_taken_; }  // by the code under test

  std::function<void(pid_t, int word)> on_taken;  // a status, or a change, by the code under test

  // ---- faults, clocks, signals ----
  void plan(const fault& one) { plans_.push_back(one); }
  void plan_nothing() { plans_.clear(); }
  void let_through(fake_call which) { real_.insert(which); }

  void wait4_costs(std::chrono::nanoseconds wall, std::chrono::nanoseconds cpu);
  void waitid_costs(std::chrono::nanoseconds wall, std::chrono::nanoseconds cpu);
  void time_passes(std::chrono::nanoseconds wall, std::chrono::nanoseconds cpu);

  struct ::sigaction action {};  // of every signal
  sigset_t mask{};
  sigset_t pending{};

  // ---- counters ----
  [[nodiscard]] std::uint64_t calls(fake_call which) const { return calls_[static_cast<std::size_t>(which)]; }
  [[nodiscard]] std::uint64_t waits() const { return calls(fake_call::wait4) + calls(fake_call::waitid); }
  [[nodiscard]] const std::vector<pid_t>& signalled() const { return signalled_; }

  // ---- the system calls ----
  pid_t wait4(pid_t, int* status, int options, ::rusage*);
  int waitid(idtype_t, id_t, siginfo_t*, int options);
  pid_t fork();
  int kill(pid_t, int signum);
  std::uint64_t clock(fake_call which);

  // Counts the call; true: it is planned to answer with *out (errno is set).
  bool enter(fake_call, pid_t about, fault* out);
  [[nodiscard]] bool is_real(fake_call which) const { return real_.contains(which); }
  static fake_kernel* current();

 private:
  enum class state { living, stopped, zombie };
  struct child {
    state now = state::living;
    owner whose = owner::ours;
    std::uint64_t order = 0;  // of birth: the kernel looks at children in that order
    bool is_traced = false;
    bool is_silent = false;
    int change = 0;  // a stop or continue that nobody has taken yet; 0: none
    int word = 0;
    ::rusage usage{};
  };
  using entry = std::map<pid_t, child>::iterator;

  child& at(pid_t);
  [[nodiscard]] static bool eligible(const child&, int options);
  [[nodiscard]] static int event_of(const child&, int options);  // its wait word, or -1
  entry first_with_event(idtype_t, id_t, int options, bool* any_child);
  void take(entry, int options, int word);

  std::map<pid_t, child> children_;
  std::map<std::uint64_t, pid_t> with_event_;  // by birth: ended, or a change that nobody took
  std::size_t silent_ = 0;
  pid_t next_pid_ = 1000;
  std::uint64_t next_order_ = 0;
  std::uint64_t foreign_taken_ = 0;
  std::vector<pid_t> signalled_;

  struct cost {
    std::chrono::nanoseconds wall{0};
    std::chrono::nanoseconds cpu{0};
  };
  cost wait4_cost_, waitid_cost_;
  std::chrono::nanoseconds wall_{1'000'000'000};
  std::chrono::nanoseconds cpu_{0};

  std::vector<fault> plans_;
  std::set<fake_call> real_;
  std::array<std::uint64_t, fake_calls> calls_{};
};

// The library's own system calls, whatever fake there is.
namespace real {
pid_t wait4(pid_t pid, int* status, int options, ::rusage* usage) noexcept;
int waitid(idtype_t, id_t, siginfo_t*, int options) noexcept;
}  // namespace real

}  // namespace test
