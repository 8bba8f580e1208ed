// A scripted kernel behind the library's seam (lib/src/os/syscalls.hpp): a table of children that live, stop
// and end when the test says so, and faults that no real kernel gives on demand.
//
//     test::fake_kernel kernel;
//     pid_t pid = kernel.born();
//     kernel.ends(pid, test::exited_with(3));
//     kernel.plan({.where = fake_call::wait4, .error = EINTR, .times = 2});
//
// Each process has a birth (an inode and a start time), so a number can be used again for a younger one:
//
//     kernel.stolen(pid);
//     kernel.born_as(pid);
//
// Its pidfds are real descriptors, which become readable when the process ends, so that an epoll set or an
// io_uring may hold them. The kernel keeps one of each itself, as a forked child would: who closes his own
// and does not take it out of the set is woken by it for ever.
//
// Its clocks stand still but for time_passes(), and are those of deadlines, too.
//
// While a fake kernel exists it answers for this process; at other times, and for the calls that a test lets
// through, the library's own system calls do. It is for one thread, and never blocks: a wait without WNOHANG
// for a child that is not ready ends the program.
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
#include <memory>
#include <set>
#include <vector>

namespace test {

enum class fake_call {
  wait4,
  waitid,
  fork,
  pidfd_open,
  pidfd_send_signal,
  pidfd_signal_group,
  kill,
  getpgid,
  pid_of_pidfd,
  exit_word_of_pidfd,
  inode_of_pidfd,
  start_time_of,
  sigaction,
  thread_mask,
  sigpending,
  monotonic_ns,
  thread_cpu_ns,
};
constexpr std::size_t fake_calls = 17;

enum class owner { ours, foreign, a_child };  // the last: a grandchild

// What the k-th call from now on answers, and so many after it.
struct fault {
  fake_call where;
  int error = 0;      // errno
  pid_t result = -1;  // what the call returns; for waitid: of the call
  int word = 0;       // wait4, if result is positive: the status written
  pid_t pid = 0;      // only calls for this number count, -1 for any child's (P_ALL); 0: all
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
  void next_fork_is(pid_t pid) { next_fork_ = pid; }
  void leads_group(pid_t);            // and is its only member
  pid_t born_in_group(pid_t leader);  // a grandchild: no wait shows it, and its end leaves no zombie
  void ends(pid_t, int word, const ::rusage& = {});
  void stops(pid_t, int signum);  // again while stopped is nothing, as SIGSTOP is
  void continues(pid_t);          // nothing if it is not stopped
  bool stolen(pid_t);             // other code waits for it; false: it has not ended
  void traced(pid_t, bool);       // by another process: its end is not shown to us, wait says 0
  void traps(pid_t,
             int signum);  // this process traces it, and it stopped for that: waitid says so to WEXITED, too
  void silent(pid_t);      // made by clone() with another exit signal: invisible without __WALL
  void has_no_pidfd(pid_t, int error);  // pidfd_open says this of it

  [[nodiscard]] bool exists(pid_t pid) const { return children_.contains(pid); }
  [[nodiscard]] bool is_zombie(pid_t) const;
  [[nodiscard]] bool is_trapped(pid_t) const;  // and nobody has taken that stop
  [[nodiscard]] std::uint64_t foreign_taken() const { return foreign_taken_; }  // by the code under test
  void forget_taken() { foreign_taken_ = 0; }

  std::function<void(pid_t, int word)> on_taken;  // a status, or a change, by the code under test

  // ---- what it knows ----
  bool has_pidfds = false;        // else pidfd_open says ENOSYS
  bool waits_by_pidfd = true;     // Linux 5.4; else EINVAL
  bool has_inodes = true;         // 6.9; else all pidfds of the machine have one inode
  bool signals_groups = true;     // 6.9; else EINVAL
  bool tells_exit_words = false;  // 6.15
  bool has_start_times = true;    // else there is no /proc
  bool lists_children = false;    // proc_has_our_numbers(): the list itself is the real one

  // ---- faults, clocks, signals ----
  void plan(const fault& one) { plans_.push_back(one); }
  void plan_nothing() { plans_.clear(); }
  void let_through(fake_call which) { real_.insert(which); }
  std::function<void(fake_call, pid_t about)> after;  // each call about a child

  void wait4_costs(std::chrono::nanoseconds wall, std::chrono::nanoseconds cpu);
  void waitid_costs(std::chrono::nanoseconds wall, std::chrono::nanoseconds cpu);
  void time_passes(std::chrono::nanoseconds wall, std::chrono::nanoseconds cpu = {});
  [[nodiscard]] std::uint64_t now_ns() const { return static_cast<std::uint64_t>(wall_.count()); }

  struct ::sigaction action {};  // of every signal
  sigset_t mask{};
  sigset_t pending{};

  // ---- counters ----
  [[nodiscard]] std::uint64_t calls(fake_call which) const { return calls_[static_cast<std::size_t>(which)]; }
  [[nodiscard]] std::uint64_t waits() const { return calls(fake_call::wait4) + calls(fake_call::waitid); }

  // Every signal but 0 that reached a process. Those of the process that has the number now: signals_of().
  struct sent {
    pid_t pid;
    int signum;
    std::uint64_t order;  // of the birth of the process that it reached
  };
  [[nodiscard]] const std::vector<sent>& signals() const { return signals_; }
  [[nodiscard]] std::vector<int> signals_of(pid_t) const;

  // ---- the system calls ----
  pid_t wait4(pid_t, int* status, int options, ::rusage*);
  int waitid(idtype_t, id_t, siginfo_t*, int options, ::rusage* = nullptr);
  pid_t fork();
  int kill(pid_t, int signum);
  pid_t getpgid(pid_t);
  int pidfd_open(pid_t);
  int pidfd_send_signal(int pidfd, int signum);
  int pidfd_signal_group(int pidfd, int signum);
  pid_t pid_of_pidfd(int pidfd);
  int exit_word_of_pidfd(int pidfd, int* word);
  int inode_of_pidfd(int pidfd, std::uint64_t* inode, std::uint64_t* device);
  int start_time_of(pid_t, std::uint64_t* ticks);
  std::uint64_t clock(fake_call which);

  // Counts the call; true: it is planned to answer with *out (errno is set).
  bool enter(fake_call, pid_t about, fault* out);
  [[nodiscard]] bool is_real(fake_call which) const { return real_.contains(which); }
  static fake_kernel* current();

 private:
  enum class state { living, stopped, zombie };
  struct process {
    process(pid_t number, owner is, std::uint64_t born) : pid(number), whose(is), order(born) {}
    ~process();
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    pid_t pid;
    owner whose;
    std::uint64_t
        order;  // of birth: the kernel looks at children in that order; and their inode and start time
    state now = state::living;
    bool is_there = true;  // false: reaped
    bool is_traced = false;
    bool is_silent = false;
    pid_t group = 0;
    int no_pidfd = 0;
    int change = 0;  // a stop or continue that nobody has taken yet; 0: none
    int trap = 0;
    int word = 0;
    ::rusage usage{};
    int end = -1;  // an eventfd; its pidfds are duplicates of it
  };
  using known = std::shared_ptr<process>;
  using entry = std::map<pid_t, known>::iterator;

  process& at(pid_t);
  [[nodiscard]] const process* find(pid_t) const;
  [[nodiscard]] known of_pidfd(int pidfd) const;  // null: none of this kernel's
  [[nodiscard]] static bool eligible(const process&, int options);
  [[nodiscard]] static int event_of(const process&, int options);  // its wait word, or -1
  entry first_with_event(idtype_t, id_t, int options, bool* any_child);
  void take(entry, int options, int word);
  void remove(entry);
  int signal(process&, int signum);
  int signal_group(pid_t group, int signum);
  void done(fake_call which, pid_t about);

  std::map<pid_t, known> children_;
  std::map<int, known> pidfds_;
  std::map<std::uint64_t, pid_t> with_event_;  // by birth: ended, or a change that nobody took
  std::size_t waitable_ = 0;
  std::size_t silent_ = 0;
  pid_t next_pid_ = 4'050'000;  // the kernel's are below 2^22, see proc(5), and on small machines far below
  pid_t next_fork_ = 0;
  std::uint64_t next_order_ = 1;
  std::uint64_t foreign_taken_ = 0;
  std::vector<sent> signals_;

  struct cost {
    std::chrono::nanoseconds wall{0};
    std::chrono::nanoseconds cpu{0};
  };
  cost wait4_cost_, waitid_cost_;
  std::chrono::nanoseconds wall_{std::chrono::steady_clock::now().time_since_epoch()};  // near that of loops
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
