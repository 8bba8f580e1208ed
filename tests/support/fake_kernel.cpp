#include "fake_kernel.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace test {
namespace {

fake_kernel* the_one = nullptr;

[[noreturn]] void misused(const char* how, pid_t pid) {
  std::fprintf(stderr, "fake kernel: %s (pid %d)\n", how, pid);
  std::abort();
}

constexpr int continued_word = 0xffff;
constexpr int stopped_word(int signum) { return (signum << 8) | 0x7f; }
constexpr std::uint64_t first_inode = 70'000;
constexpr std::uint64_t device_of_pidfds = 13;
// Whose children: of any kind of clone, of which thread. (The header has one of them unsigned.)
constexpr int whose = __WALL | static_cast<int>(__WCLONE) | __WNOTHREAD;

void fill(siginfo_t* info, pid_t pid, int word) {
  info->si_signo = SIGCHLD;
  info->si_pid = pid;
  if (word == continued_word) {
    info->si_code = CLD_CONTINUED;
    info->si_status = SIGCONT;
  } else if (WIFSTOPPED(word)) {
    info->si_code = CLD_STOPPED;
    info->si_status = WSTOPSIG(word);
  } else if (WIFEXITED(word)) {
    info->si_code = CLD_EXITED;
    info->si_status = WEXITSTATUS(word);
  } else {
    info->si_code = WCOREDUMP(word) ? CLD_DUMPED : CLD_KILLED;
    info->si_status = WTERMSIG(word);
  }
}

}  // namespace

fake_kernel::fake_kernel() {
  if (the_one != nullptr) misused("there is one already", 0);
  the_one = this;
  sigemptyset(&mask);
  sigemptyset(&pending);
}

fake_kernel::~fake_kernel() { the_one = nullptr; }
fake_kernel* fake_kernel::current() { return the_one; }

fake_kernel::process::~process() {
  if (end >= 0) ::close(end);
}

// ---- children

pid_t fake_kernel::born(owner whose) {
  while (children_.contains(next_pid_) || next_pid_ == ::getpid()) ++next_pid_;  // nobody is its own child
  born_as(next_pid_, whose);
  return next_pid_++;
}

void fake_kernel::born_as(pid_t pid, owner whose) {
  if (pid <= 0 || children_.contains(pid)) misused("this number is taken", pid);
  children_[pid] = std::make_shared<process>(pid, whose, next_order_++);
  if (whose != owner::a_child) ++waitable_;
}

void fake_kernel::leads_group(pid_t pid) { at(pid).group = pid; }

pid_t fake_kernel::born_in_group(pid_t leader) {
  pid_t pid = born(owner::a_child);
  at(pid).group = leader;
  return pid;
}

fake_kernel::process& fake_kernel::at(pid_t pid) {
  auto found = children_.find(pid);
  if (found == children_.end()) misused("no such child", pid);
  return *found->second;
}

const fake_kernel::process* fake_kernel::find(pid_t pid) const {
  auto found = children_.find(pid);
  return found == children_.end() ? nullptr : found->second.get();
}

void fake_kernel::ends(pid_t pid, int word, const ::rusage& usage) {
  process& one = at(pid);
  if (one.now == state::zombie) misused("it has ended already", pid);
  one.now = state::zombie;
  one.change = one.trap = 0;  // a zombie has no stop to tell of
  one.word = word;
  one.usage = usage;
  if (one.end >= 0) ::eventfd_write(one.end, 1);
  if (one.whose == owner::a_child) return remove(children_.find(pid));  // its parent takes it
  with_event_[one.order] = pid;
}

void fake_kernel::stops(pid_t pid, int signum) {
  process& one = at(pid);
  if (one.now != state::living) return;
  one.now = state::stopped;
  one.change = stopped_word(signum);
  with_event_[one.order] = pid;
}

void fake_kernel::continues(pid_t pid) {
  process& one = at(pid);
  if (one.now != state::stopped) return;
  one.now = state::living;
  one.change = continued_word;  // in the place of a stop that nobody took
  with_event_[one.order] = pid;
}

void fake_kernel::traps(pid_t pid, int signum) {
  process& one = at(pid);
  one.trap = stopped_word(signum);
  with_event_[one.order] = pid;
}

bool fake_kernel::stolen(pid_t pid) {
  if (!is_zombie(pid)) return false;
  remove(children_.find(pid));
  return true;
}

void fake_kernel::remove(entry which) {
  process& one = *which->second;
  with_event_.erase(one.order);
  if (one.is_silent) --silent_;
  if (one.whose != owner::a_child) --waitable_;
  one.is_there = false;
  children_.erase(which);
}

void fake_kernel::traced(pid_t pid, bool is) { at(pid).is_traced = is; }

void fake_kernel::silent(pid_t pid) {
  process& one = at(pid);
  if (!one.is_silent) ++silent_;
  one.is_silent = true;
}

void fake_kernel::has_no_pidfd(pid_t pid, int error) { at(pid).no_pidfd = error; }

bool fake_kernel::is_zombie(pid_t pid) const {
  const process* one = find(pid);
  return one != nullptr && one->now == state::zombie;
}

bool fake_kernel::is_trapped(pid_t pid) const {
  const process* one = find(pid);
  return one != nullptr && one->trap != 0;
}

std::vector<int> fake_kernel::signals_of(pid_t pid) const {
  std::vector<int> found;
  const process* now = find(pid);
  for (const sent& one : signals_) {
    if (now != nullptr && one.order == now->order) found.push_back(one.signum);
  }
  return found;
}

// ---- wait

bool fake_kernel::eligible(const process& one, int options) {
  if (one.whose == owner::a_child) return false;
  // A zombie is nobody's child for a wait that does not ask for exits: if there is no other, that says
  // ECHILD.
  if (one.now == state::zombie && !one.is_traced && (options & WEXITED) == 0) return false;
  return !one.is_silent || (options & __WALL) != 0;
}

int fake_kernel::event_of(const process& one, int options) {
  if (one.is_traced) return -1;        // the tracer hears of it first
  if (one.trap != 0) return one.trap;  // and this is the tracer, whatever it asked for
  if (one.now == state::zombie) return (options & WEXITED) != 0 ? one.word : -1;
  if (one.change == continued_word) return (options & WCONTINUED) != 0 ? one.change : -1;
  return one.change != 0 && (options & WSTOPPED) != 0 ? one.change : -1;
}

fake_kernel::entry fake_kernel::first_with_event(idtype_t type, id_t id, int options, bool* any_child) {
  if (type == P_PID) {
    auto found = children_.find(static_cast<pid_t>(id));
    *any_child = found != children_.end() && eligible(*found->second, options);
    return *any_child && event_of(*found->second, options) != -1 ? found : children_.end();
  }
  // Counted where that is all it takes: a storm peeks ten thousand times at ten thousand children.
  *any_child = (options & WEXITED) != 0
                   ? waitable_ > ((options & __WALL) != 0 ? 0 : silent_)
                   : std::any_of(children_.begin(), children_.end(),
                                 [options](const auto& one) { return eligible(*one.second, options); });
  for (auto [order, pid] : with_event_) {
    auto found = children_.find(pid);
    if (eligible(*found->second, options) && event_of(*found->second, options) != -1) return found;
  }
  return children_.end();
}

void fake_kernel::take(entry which, int options, int word) {
  process& one = *which->second;
  if ((options & WNOWAIT) != 0) return;
  pid_t pid = which->first;
  if (one.now != state::zombie) {
    with_event_.erase(one.order);
    (one.trap != 0 ? one.trap : one.change) = 0;
    if (on_taken) on_taken(pid, word);
    return;
  }
  if (word != one.word) misused("a status of nobody's", which->first);
  if (one.whose == owner::foreign) ++foreign_taken_;
  remove(which);
  if (on_taken) on_taken(pid, word);
}

pid_t fake_kernel::wait4(pid_t pid, int* status, int options, ::rusage* usage) {
  time_passes(wait4_cost_.wall, wait4_cost_.cpu);
  fault planned{};
  if (enter(fake_call::wait4, pid, &planned)) {
    if (planned.result > 0 && status != nullptr) *status = planned.word;
    return planned.result;
  }
  if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | whose)) != 0) {
    return errno = EINVAL, -1;
  }
  if (pid == 0 || pid < -1) misused("groups are not faked", pid);
  bool any_child = false;
  auto found =
      first_with_event(pid == -1 ? P_ALL : P_PID, static_cast<id_t>(pid), options | WEXITED, &any_child);
  if (!any_child) return errno = ECHILD, -1;
  if (found == children_.end()) {
    if ((options & WNOHANG) == 0) misused("wait4 would block", pid);
    return 0;
  }
  pid_t result = found->first;
  int word = event_of(*found->second, options | WEXITED);
  if (status != nullptr) *status = word;
  if (usage != nullptr) *usage = found->second->usage;
  take(found, options, word);
  done(fake_call::wait4, pid);
  return result;
}

int fake_kernel::waitid(idtype_t type, id_t id, siginfo_t* info, int options, ::rusage* usage) {
  time_passes(waitid_cost_.wall, waitid_cost_.cpu);
  known by_pidfd = type == P_PIDFD ? of_pidfd(static_cast<int>(id)) : nullptr;
  pid_t about = by_pidfd != nullptr ? by_pidfd->pid : type == P_PID ? static_cast<pid_t>(id) : -1;
  fault planned{};
  if (enter(fake_call::waitid, about, &planned)) return planned.result;
  constexpr int kinds = WEXITED | WSTOPPED | WCONTINUED;
  if ((options & ~(kinds | WNOHANG | WNOWAIT | whose)) != 0 || (options & kinds) == 0) {
    return errno = EINVAL, -1;
  }
  if (type == P_PIDFD) {
    if (!waits_by_pidfd) return errno = EINVAL, -1;
    if (by_pidfd == nullptr) return errno = EBADF, -1;
    if (!by_pidfd->is_there) return done(fake_call::waitid, about), errno = ECHILD, -1;
    type = P_PID;
    id = static_cast<id_t>(about);
  }
  if (type != P_PID && type != P_ALL) misused("groups are not faked", static_cast<pid_t>(id));
  bool any_child = false;
  auto found = first_with_event(type, id, options, &any_child);
  if (!any_child) return done(fake_call::waitid, about), errno = ECHILD, -1;
  if (found == children_.end()) {
    if ((options & WNOHANG) == 0) misused("waitid would block", static_cast<pid_t>(id));
    info->si_pid = 0;
    info->si_signo = 0;
    info->si_code = 0;
    done(fake_call::waitid, about);
    return 0;
  }
  int word = event_of(*found->second, options);
  fill(info, found->first, word);
  if (found->second->trap != 0) info->si_code = CLD_TRAPPED;
  if (usage != nullptr) *usage = found->second->usage;
  take(found, options, word);
  done(fake_call::waitid, about);
  return 0;
}

// ---- pidfds and births

int fake_kernel::pidfd_open(pid_t pid) {
  fault planned{};
  if (enter(fake_call::pidfd_open, pid, &planned)) return planned.result;
  if (!has_pidfds) return errno = ENOSYS, -1;
  if (pid == ::getpid()) return ::eventfd(0, EFD_CLOEXEC);  // to try out what takes pidfds
  auto found = children_.find(pid);
  if (found == children_.end()) return errno = ESRCH, -1;
  process& one = *found->second;
  if (one.no_pidfd != 0) return errno = one.no_pidfd, -1;
  if (one.end < 0) one.end = ::eventfd(one.now == state::zombie ? 1 : 0, EFD_CLOEXEC);
  int pidfd = ::fcntl(one.end, F_DUPFD_CLOEXEC, 0);
  if (pidfd < 0) return -1;
  pidfds_[pidfd] = found->second;  // an older one of that descriptor is closed
  return pidfd;
}

fake_kernel::known fake_kernel::of_pidfd(int pidfd) const {
  auto found = pidfds_.find(pidfd);
  return found == pidfds_.end() || ::fcntl(pidfd, F_GETFD) < 0 ? nullptr : found->second;
}

int fake_kernel::pidfd_send_signal(int pidfd, int signum) {
  known one = of_pidfd(pidfd);
  fault planned{};
  if (enter(fake_call::pidfd_send_signal, one != nullptr ? one->pid : 0, &planned)) return planned.result;
  if (one == nullptr) return errno = EBADF, -1;
  return signal(*one, signum);
}

int fake_kernel::pidfd_signal_group(int pidfd, int signum) {
  known one = of_pidfd(pidfd);
  fault planned{};
  if (enter(fake_call::pidfd_signal_group, one != nullptr ? one->pid : 0, &planned)) return planned.result;
  if (!signals_groups) return errno = EINVAL, -1;
  if (one == nullptr) return errno = EBADF, -1;
  // It speaks of the group that this very process leads or led; a younger leader of the number has another.
  auto now = children_.find(one->pid);
  bool is_anothers = now != children_.end() && now->second != one && now->second->group == one->pid;
  return is_anothers ? (errno = ESRCH, -1) : signal_group(one->pid, signum);
}

pid_t fake_kernel::pid_of_pidfd(int pidfd) {
  known one = of_pidfd(pidfd);
  fault planned{};
  if (enter(fake_call::pid_of_pidfd, one != nullptr ? one->pid : 0, &planned)) return planned.result;
  if (one == nullptr) return errno = EINVAL, -1;
  return one->is_there ? one->pid : (errno = ESRCH, -1);
}

int fake_kernel::exit_word_of_pidfd(int pidfd, int* word) {
  known one = of_pidfd(pidfd);
  fault planned{};
  if (enter(fake_call::exit_word_of_pidfd, one != nullptr ? one->pid : 0, &planned)) return planned.result;
  if (one == nullptr || one->is_there || !tells_exit_words) return errno = ENOTSUP, -1;
  *word = one->word;
  return 0;
}

int fake_kernel::inode_of_pidfd(int pidfd, std::uint64_t* inode, std::uint64_t* device) {
  known one = of_pidfd(pidfd);
  fault planned{};
  if (enter(fake_call::inode_of_pidfd, one != nullptr ? one->pid : 0, &planned)) return planned.result;
  if (one == nullptr || !has_inodes) return errno = ENOTSUP, -1;
  *inode = first_inode + one->order;
  *device = device_of_pidfds;
  return 0;
}

int fake_kernel::start_time_of(pid_t pid, std::uint64_t* ticks) {
  fault planned{};
  if (enter(fake_call::start_time_of, pid, &planned)) return planned.result;
  const process* one = find(pid);
  if (one == nullptr || !has_start_times) return errno = ENOENT, -1;
  *ticks = one->order;
  done(fake_call::start_time_of, pid);
  return 0;
}

// ---- the rest

pid_t fake_kernel::fork() {
  fault planned{};
  if (enter(fake_call::fork, 0, &planned)) return planned.result;
  if (next_fork_ == 0) return born();
  born_as(next_fork_);
  return std::exchange(next_fork_, 0);
}

int fake_kernel::kill(pid_t pid, int signum) {
  fault planned{};
  if (enter(fake_call::kill, pid, &planned)) return planned.result;
  if (pid < -1) return signal_group(-pid, signum);
  return exists(pid) ? signal(at(pid), signum) : (errno = ESRCH, -1);
}

int fake_kernel::signal(process& one, int signum) {
  if (!one.is_there) return errno = ESRCH, -1;
  if (signum != 0) signals_.push_back({one.pid, signum, one.order});
  return 0;
}

int fake_kernel::signal_group(pid_t group, int signum) {
  bool is_empty = true;
  for (auto& [pid, one] : children_) {
    if (one->group != group) continue;
    is_empty = false;
    (void)signal(*one, signum);
  }
  return is_empty ? (errno = ESRCH, -1) : 0;
}

pid_t fake_kernel::getpgid(pid_t pid) {
  fault planned{};
  if (enter(fake_call::getpgid, pid, &planned)) return planned.result;
  const process* one = find(pid);
  return one != nullptr ? one->group : (errno = ESRCH, -1);
}

void fake_kernel::done(fake_call which, pid_t about) {
  if (auto call = after) call(which, about);  // it may put another in its place
}

std::uint64_t fake_kernel::clock(fake_call which) {
  ++calls_[static_cast<std::size_t>(which)];
  return static_cast<std::uint64_t>((which == fake_call::monotonic_ns ? wall_ : cpu_).count());
}

void fake_kernel::wait4_costs(std::chrono::nanoseconds wall, std::chrono::nanoseconds cpu) {
  wait4_cost_ = {wall, cpu};
}

void fake_kernel::waitid_costs(std::chrono::nanoseconds wall, std::chrono::nanoseconds cpu) {
  waitid_cost_ = {wall, cpu};
}

void fake_kernel::time_passes(std::chrono::nanoseconds wall, std::chrono::nanoseconds cpu) {
  wall_ += wall;
  cpu_ += cpu;
}

bool fake_kernel::enter(fake_call which, pid_t about, fault* out) {
  ++calls_[static_cast<std::size_t>(which)];
  for (fault& one : plans_) {
    if (one.where != which || one.times == 0 || (one.pid != 0 && one.pid != about)) continue;
    if (one.from > 1) {
      --one.from;
      continue;
    }
    --one.times;
    *out = one;
    errno = one.error;
    return true;
  }
  return false;
}

}  // namespace test
