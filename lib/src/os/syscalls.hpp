// The seam: every system call by which uvreap hears of, collects or signals a child, and nothing else.
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
pid_t pid_of_pidfd(int pidfd) noexcept;  // -1: EBADF, EINVAL no pidfd, ENOTSUP cannot be told, ESRCH reaped

int sigaction(int signum, const struct ::sigaction* act, struct ::sigaction* old) noexcept;
int thread_mask(int how, const sigset_t* set,
                sigset_t* old) noexcept;  // pthread_sigmask: the error is returned
int sigpending(sigset_t*) noexcept;

std::uint64_t monotonic_ns() noexcept;   // the vDSO: some 20 ns
std::uint64_t thread_cpu_ns() noexcept;  // a system call: some 500 ns

}  // namespace uvreap::sys
