// The seam's functions, in the place of lib/src/os/syscalls.cpp: each asks the fake kernel if there is one
// that answers this call, else the real one. And the clock of alarms, which is libuv's.
#include <uv.h>

#include <cerrno>

#include "fake_kernel.hpp"
#include "os/syscalls.hpp"

namespace uvreap::real_sys {

pid_t wait4(pid_t, int*, int, ::rusage*) noexcept;
int waitid(idtype_t, id_t, siginfo_t*, int) noexcept;
pid_t fork() noexcept;
int pidfd_open(pid_t) noexcept;
int pidfd_send_signal(int, int) noexcept;
int pidfd_signal_group(int, int) noexcept;
int kill(pid_t, int) noexcept;
pid_t getpgid(pid_t) noexcept;
int waitid_with_usage(pid_t, siginfo_t*, int, ::rusage*) noexcept;
pid_t pid_of_pidfd(int) noexcept;
int exit_word_of_pidfd(int, int*) noexcept;
int inode_of_pidfd(int, std::uint64_t*, std::uint64_t*) noexcept;
int start_time_of(pid_t, std::uint64_t*) noexcept;
bool proc_has_our_numbers() noexcept;
int sigaction(int, const struct ::sigaction*, struct ::sigaction*) noexcept;
int thread_mask(int, const sigset_t*, sigset_t*) noexcept;
int sigpending(sigset_t*) noexcept;
std::uint64_t monotonic_ns() noexcept;
std::uint64_t thread_cpu_ns() noexcept;

}  // namespace uvreap::real_sys

// ------------------------------------------------------------------------------------------------

namespace uvreap::sys {
namespace {

using test::fake_call;

test::fake_kernel* fake_for(fake_call which) {
  auto* fake = test::fake_kernel::current();
  return fake == nullptr || fake->is_real(which) ? nullptr : fake;
}

}  // namespace

pid_t wait4(pid_t pid, int* status, int options, ::rusage* usage) noexcept {
  auto* fake = fake_for(fake_call::wait4);
  return fake ? fake->wait4(pid, status, options, usage) : real_sys::wait4(pid, status, options, usage);
}

int waitid(idtype_t type, id_t id, siginfo_t* info, int options) noexcept {
  auto* fake = fake_for(fake_call::waitid);
  return fake ? fake->waitid(type, id, info, options) : real_sys::waitid(type, id, info, options);
}

pid_t fork() noexcept {
  auto* fake = fake_for(fake_call::fork);
  return fake ? fake->fork() : real_sys::fork();
}

int waitid_with_usage(pid_t pid, siginfo_t* info, int options, ::rusage* usage) noexcept {
  auto* fake = fake_for(fake_call::waitid);
  return fake ? fake->waitid(P_PID, static_cast<id_t>(pid), info, options, usage)
              : real_sys::waitid_with_usage(pid, info, options, usage);
}

pid_t getpgid(pid_t pid) noexcept {
  auto* fake = fake_for(fake_call::getpgid);
  return fake ? fake->getpgid(pid) : real_sys::getpgid(pid);
}

int pidfd_open(pid_t pid) noexcept {
  auto* fake = fake_for(fake_call::pidfd_open);
  return fake ? fake->pidfd_open(pid) : real_sys::pidfd_open(pid);
}

int pidfd_send_signal(int pidfd, int signum) noexcept {
  auto* fake = fake_for(fake_call::pidfd_send_signal);
  return fake ? fake->pidfd_send_signal(pidfd, signum) : real_sys::pidfd_send_signal(pidfd, signum);
}

int pidfd_signal_group(int pidfd, int signum) noexcept {
  auto* fake = fake_for(fake_call::pidfd_signal_group);
  return fake ? fake->pidfd_signal_group(pidfd, signum) : real_sys::pidfd_signal_group(pidfd, signum);
}

int kill(pid_t pid, int signum) noexcept {
  auto* fake = fake_for(fake_call::kill);
  return fake ? fake->kill(pid, signum) : real_sys::kill(pid, signum);
}

pid_t pid_of_pidfd(int pidfd) noexcept {
  auto* fake = fake_for(fake_call::pid_of_pidfd);
  return fake ? fake->pid_of_pidfd(pidfd) : real_sys::pid_of_pidfd(pidfd);
}

int exit_word_of_pidfd(int pidfd, int* word) noexcept {
  auto* fake = fake_for(fake_call::exit_word_of_pidfd);
  return fake ? fake->exit_word_of_pidfd(pidfd, word) : real_sys::exit_word_of_pidfd(pidfd, word);
}

int inode_of_pidfd(int pidfd, std::uint64_t* inode, std::uint64_t* device) noexcept {
  auto* fake = fake_for(fake_call::inode_of_pidfd);
  return fake ? fake->inode_of_pidfd(pidfd, inode, device) : real_sys::inode_of_pidfd(pidfd, inode, device);
}

int start_time_of(pid_t pid, std::uint64_t* ticks) noexcept {
  auto* fake = fake_for(fake_call::start_time_of);
  return fake ? fake->start_time_of(pid, ticks) : real_sys::start_time_of(pid, ticks);
}

bool proc_has_our_numbers() noexcept {
  auto* fake = test::fake_kernel::current();
  return fake ? fake->lists_children : real_sys::proc_has_our_numbers();
}

int sigaction(int signum, const struct ::sigaction* act, struct ::sigaction* old) noexcept {
  auto* fake = fake_for(fake_call::sigaction);
  if (fake == nullptr) return real_sys::sigaction(signum, act, old);
  test::fault planned{};
  if (fake->enter(fake_call::sigaction, 0, &planned)) return planned.result;
  if (old != nullptr) *old = fake->action;
  if (act != nullptr) fake->action = *act;
  return 0;
}

int thread_mask(int how, const sigset_t* set, sigset_t* old) noexcept {
  auto* fake = fake_for(fake_call::thread_mask);
  if (fake == nullptr) return real_sys::thread_mask(how, set, old);
  test::fault planned{};
  if (fake->enter(fake_call::thread_mask, 0, &planned)) return planned.error;
  if (old != nullptr) *old = fake->mask;
  if (set != nullptr && how == SIG_SETMASK) fake->mask = *set;
  return 0;
}

int sigpending(sigset_t* set) noexcept {
  auto* fake = fake_for(fake_call::sigpending);
  if (fake == nullptr) return real_sys::sigpending(set);
  test::fault planned{};
  if (fake->enter(fake_call::sigpending, 0, &planned)) return planned.result;
  *set = fake->pending;
  return 0;
}

std::uint64_t monotonic_ns() noexcept {
  auto* fake = fake_for(fake_call::monotonic_ns);
  return fake ? fake->clock(fake_call::monotonic_ns) : real_sys::monotonic_ns();
}

std::uint64_t thread_cpu_ns() noexcept {
  auto* fake = fake_for(fake_call::thread_cpu_ns);
  return fake ? fake->clock(fake_call::thread_cpu_ns) : real_sys::thread_cpu_ns();
}

}  // namespace uvreap::sys

namespace test::real {

pid_t wait4(pid_t pid, int* status, int options, ::rusage* usage) noexcept {
  return uvreap::real_sys::wait4(pid, status, options, usage);
}

int waitid(idtype_t type, id_t id, siginfo_t* info, int options) noexcept {
  return uvreap::real_sys::waitid(type, id, info, options);
}

}  // namespace test::real

// In the place of libuv's own for what calls it from here; libuv itself does not.
std::uint64_t uv_hrtime() {
  auto* fake = uvreap::sys::fake_for(test::fake_call::monotonic_ns);
  return fake ? fake->now_ns() : uvreap::real_sys::monotonic_ns();
}
