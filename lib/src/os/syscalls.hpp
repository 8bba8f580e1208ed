// The seam: every system call by which uvreap notices, collects or signals a child. What stays outside it
// concerns no child: epoll, io_uring, eventfd, and the tgkill of loop_thread.
//
// Tests replace it at link time: they link the library's objects without syscalls.cpp and define these
// functions themselves, so a script can answer with EINTR, ECHILD, storms and things no kernel would say.
// That costs the library neither an indirection nor a global.
//
// Each follows its man page (result, and errno where that is -1), with the EINTR of the page, too.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <uv.h>

#include <cerrno>
#include <cstdint>

namespace uvreap::sys {

pid_t wait4(pid_t pid, int* status, int options, ::rusage* usage) noexcept;
int waitid(idtype_t, id_t, siginfo_t*, int options) noexcept;
// The system call itself, which fills rusage even with WNOWAIT; the C library's waitid has no place for it.
int waitid_with_usage(pid_t, siginfo_t*, int options, ::rusage* usage) noexcept;
pid_t fork() noexcept;
pid_t getpgid(pid_t) noexcept;

int pidfd_open(pid_t) noexcept;  // close-on-exec
int pidfd_send_signal(int pidfd, int signum) noexcept;
int pidfd_signal_group(int pidfd, int signum) noexcept;  // its process group; EINVAL before Linux 6.9
int kill(pid_t, int signum) noexcept;

// The wait word of a process that was reaped, from a pidfd that was open then (PIDFD_INFO_EXIT, Linux 6.15).
// -1: the kernel does not tell it.
int exit_word_of_pidfd(int pidfd, int* word) noexcept;
// -1: EBADF; EINVAL no pidfd; ENOTSUP the kernel does not tell; ESRCH reaped.
pid_t pid_of_pidfd(int pidfd) noexcept;

// What tells a process from a younger one with its number; see birth.hpp. -1: the kernel does not tell.
int inode_of_pidfd(int pidfd, std::uint64_t* inode, std::uint64_t* device) noexcept;
int start_time_of(pid_t, std::uint64_t* ticks) noexcept;

// Does /proc show this process, by its own number? The /proc of another pid namespace (unshare -pf without
// --mount-proc) has other numbers for everybody.
bool proc_has_our_numbers() noexcept;

int sigaction(int signum, const struct ::sigaction* act, struct ::sigaction* old) noexcept;
// pthread_sigmask: the error is returned.
int thread_mask(int how, const sigset_t* set, sigset_t* old) noexcept;
int sigpending(sigset_t*) noexcept;

std::uint64_t monotonic_ns() noexcept;   // the vDSO: some 20 ns
std::uint64_t thread_cpu_ns() noexcept;  // a system call: some 500 ns

// SIG_DFL or SIG_IGN; false for a function.
inline bool is_set_to(const struct ::sigaction& action, sighandler_t what) noexcept {
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == what;
}

// What a call that says 0 or -1 comes to, as an error of libuv's.
inline int from_errno(int result) noexcept { return result == 0 ? 0 : uv_translate_sys_error(errno); }

// Calls again after EINTR. With WNOHANG the kernel does not say that; a tracer or a filter may, for ever, so
// there is a bound.
template <class Call, class... Args>
auto retried(Call call, Args... args) noexcept {
  for (int tries = 16;; --tries) {
    auto result = call(args...);
    if (result != -1 || errno != EINTR || tries <= 1) return result;
  }
}

}  // namespace uvreap::sys
