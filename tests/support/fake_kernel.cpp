#include "fake_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace test {
namespace {

fake_kernel* the_one = nullptr;

[[noreturn]] void misused(const char* how, pid_t pid) {
  std::fprintf(stderr, "fake kernel: %s (pid %d)\n", how, pid);
  std::abort();
}

constexpr int continued_word = 0xffff;
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

// ---- children

pid_t fake_kernel::born(owner whose) {
  while (children_.contains(next_pid_)) ++next_pid_;
  born_as(next_pid_, whose);
  return next_pid_++;
}

void fake_kernel::born_as(pid_t pid, owner whose) {
  if (pid <= 0 || children_.contains(pid)) misused("this number is taken", pid);
  children_[pid] = {.whose = whose, .order = next_order_++};
}

fake_kernel::child& fake_kernel::at(pid_t pid) {
  auto found = children_.find(pid);
  if (found == children_.end()) misused("no such child", pid);
  return found->second;
}

void fake_kernel::ends(pid_t pid, int word, const ::rusage& usage) {
  child& one = at(pid);
  if (one.now == state::zombie) misused("it has ended already", pid);
  one.now = state::zombie;
  one.change = 0;  // a zombie has no stop to tell of
  one.word = word;
  one.usage = usage;
  with_event_[one.order] = pid;
}

void fake_kernel::stops(pid_t pid, int signum) {
  child& one = at(pid);
  if (one.now != state::living) return;
  one.now = state::stopped;
  one.change = (signum << 8) | 0x7f;
  with_event_[one.order] = pid;
}

void fake_kernel::continues(pid_t pid) {
  child& one = at(pid);
  if (one.now != state::stopped) return;
  one.now = state::living;
  one.change = continued_word;  // in the place of a stop that nobody took
  with_event_[one.order] = pid;
}

bool fake_kernel::stolen(pid_t pid) {
  if (!is_zombie(pid)) return false;
  auto found = children_.find(pid);
  with_event_.erase(found->second.order);
  if (found->second.is_silent) --silent_;
  children_.erase(found);
  return true;
}

void fake_kernel::traced(pid_t pid, bool is) { at(pid).is_traced = is; }

void fake_kernel::silent(pid_t pid) {
  child& one = at(pid);
  if (!one.is_silent) ++silent_;
  one.is_silent = true;
}

bool fake_kernel::is_zombie(pid_t pid) const {
  auto found = children_.find(pid);
  return found != children_.end() && found->second.now == state::zombie;
}

// ---- wait

bool fake_kernel::eligible(const child& one, int options) {
  // A zombie is nobody's child for a wait that does not ask for exits: if there is no other, that says
  // ECHILD.
  if (one.now == state::zombie && !one.is_traced && (options & WEXITED) == 0) return false;
  return !one.is_silent || (options & __WALL) != 0;
}

int fake_kernel::event_of(const child& one, int options) {
  if (one.is_traced) return -1;  // the tracer hears of it first
  if (one.now == state::zombie) return (options & WEXITED) != 0 ? one.word : -1;
  if (one.change == continued_word) return (options & WCONTINUED) != 0 ? one.change : -1;
  return one.change != 0 && (options & WSTOPPED) != 0 ? one.change : -1;
}

fake_kernel::entry fake_kernel::first_with_event(idtype_t type, id_t id, int options, bool* any_child) {
  if (type == P_PID) {
    auto found = children_.find(static_cast<pid_t>(id));
    *any_child = found != children_.end() && eligible(found->second, options);
    return *any_child && event_of(found->second, options) != -1 ? found : children_.end();
  }
  // Counted where that is all it takes: a storm peeks ten thousand times at ten thousand children.
  *any_child = (options & WEXITED) != 0
                   ? children_.size() > ((options & __WALL) != 0 ? 0 : silent_)
                   : std::any_of(children_.begin(), children_.end(),
                                 [options](const auto& one) { return eligible(one.second, options); });
  for (auto [order, pid] : with_event_) {
    auto found = children_.find(pid);
    if (eligible(found->second, options) && event_of(found->second, options) != -1) return found;
  }
  return children_.end();
}

void fake_kernel::take(entry which, int options, int word) {
  child& one = which->second;
  if ((options & WNOWAIT) != 0) return;
  with_event_.erase(one.order);
  pid_t pid = which->first;
  if (one.now != state::zombie) {
    one.change = 0;
    if (on_taken) on_taken(pid, word);
    return;
  }
  if (word != one.word) misused("a status of nobody's", which->first);
  if (one.whose == owner::foreign) ++foreign_taken_;
  if (one.is_silent) --silent_;
  children_.erase(which);
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
  int word = event_of(found->second, options | WEXITED);
  if (status != nullptr) *status = word;
  if (usage != nullptr) *usage = found->second.usage;
  take(found, options, word);
  return result;
}

int fake_kernel::waitid(idtype_t type, id_t id, siginfo_t* info, int options) {
  time_passes(waitid_cost_.wall, waitid_cost_.cpu);
  fault planned{};
  if (enter(fake_call::waitid, type == P_PID ? static_cast<pid_t>(id) : 0, &planned)) return planned.result;
  constexpr int kinds = WEXITED | WSTOPPED | WCONTINUED;
  if ((options & ~(kinds | WNOHANG | WNOWAIT | whose)) != 0 || (options & kinds) == 0) {
    return errno = EINVAL, -1;
  }
  if (type != P_PID && type != P_ALL) misused("only P_PID and P_ALL are faked", static_cast<pid_t>(id));
  bool any_child = false;
  auto found = first_with_event(type, id, options, &any_child);
  if (!any_child) return errno = ECHILD, -1;
  if (found == children_.end()) {
    if ((options & WNOHANG) == 0) misused("waitid would block", static_cast<pid_t>(id));
    info->si_pid = 0;
    info->si_signo = 0;
    return 0;
  }
  int word = event_of(found->second, options);
  fill(info, found->first, word);
  take(found, options, word);
  return 0;
}

// ---- the rest

pid_t fake_kernel::fork() {
  fault planned{};
  return enter(fake_call::fork, 0, &planned) ? planned.result : born();
}

int fake_kernel::kill(pid_t pid, int signum) {
  fault planned{};
  if (enter(fake_call::kill, pid, &planned)) return planned.result;
  if (!exists(pid)) return errno = ESRCH, -1;
  if (signum != 0) signalled_.push_back(pid);
  return 0;
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
