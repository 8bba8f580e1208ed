#include "os/syscalls.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace uvreap::sys {
namespace {

// struct pidfd_info of <linux/pidfd.h>, as of 6.13, the first version that has it (its size is in the ioctl's
// number).
struct pidfd_info {
  std::uint64_t mask;
  std::uint64_t cgroup_id;
  std::uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  std::int32_t exit_code;  // the wait word; since 6.15, in what was padding
};
static_assert(sizeof(pidfd_info) == 64);
constexpr unsigned long pidfd_get_info = _IOWR(0xFF, 11, pidfd_info);
constexpr std::uint64_t pidfd_info_pid = 1u << 0;
constexpr std::uint64_t pidfd_info_exit = 1u << 3;

// The text of a small file of /proc; its length, or -1.
ssize_t read_small_file(const char* path, std::array<char, 1024>& text) noexcept {
  int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  ssize_t length = ::read(file, text.data(), text.size() - 1);
  ::close(file);
  if (length >= 0) text[static_cast<std::size_t>(length)] = '\0';
  return length;
}

pid_t pid_from_fdinfo(int pidfd) noexcept {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/fdinfo/%d", pidfd);
  std::array<char, 1024> text{};
  if (read_small_file(path.data(), text) < 0) return errno = ENOTSUP, -1;
  const char* line = std::strstr(text.data(), "\nPid:");
  if (line == nullptr) return errno = EINVAL, -1;
  long pid = std::strtol(line + 5, nullptr, 10);
  if (pid <= 0) return errno = ESRCH, -1;  // -1: reaped; 0: of another pid namespace
  return static_cast<pid_t>(pid);
}

}  // namespace

pid_t wait4(pid_t pid, int* status, int options, ::rusage* usage) noexcept {
  return ::wait4(pid, status, options, usage);
}

int waitid(idtype_t type, id_t id, siginfo_t* info, int options) noexcept {
  return ::waitid(type, id, info, options);
}

int waitid_with_usage(pid_t pid, siginfo_t* info, int options, ::rusage* usage) noexcept {
  return static_cast<int>(::syscall(SYS_waitid, P_PID, pid, info, options, usage));
}

pid_t fork() noexcept { return ::fork(); }

pid_t getpgid(pid_t pid) noexcept { return ::getpgid(pid); }

// By number: <sys/pidfd.h> came with glibc 2.36 only.
int pidfd_open(pid_t pid) noexcept { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

int pidfd_send_signal(int pidfd, int signum) noexcept {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signum, nullptr, 0));
}

int pidfd_signal_group(int pidfd, int signum) noexcept {
  constexpr unsigned process_group = 1u << 2;  // PIDFD_SIGNAL_PROCESS_GROUP
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signum, nullptr, process_group));
}

int kill(pid_t pid, int signum) noexcept { return ::kill(pid, signum); }

pid_t pid_of_pidfd(int pidfd) noexcept {
  if (::fcntl(pidfd, F_GETFD) < 0) return -1;
  pidfd_info info{};
  info.mask = pidfd_info_pid;
  if (::ioctl(pidfd, pidfd_get_info, &info) == 0) {
    if (info.pid == 0) return errno = ESRCH, -1;
    return static_cast<pid_t>(info.pid);
  }
  if (errno == ESRCH) return -1;
  return pid_from_fdinfo(pidfd);  // before 6.13, or no pidfd at all
}

int exit_word_of_pidfd(int pidfd, int* word) noexcept {
  pidfd_info info{};
  info.mask = pidfd_info_exit;
  if (::ioctl(pidfd, pidfd_get_info, &info) != 0) return -1;
  if ((info.mask & pidfd_info_exit) == 0)
    return errno = ENODATA, -1;  // an older kernel, or it is not reaped yet
  *word = info.exit_code;
  return 0;
}

int inode_of_pidfd(int pidfd, std::uint64_t* inode, std::uint64_t* device) noexcept {
  // Before 6.9 all pidfds share one anonymous inode. That is the kernel's for good, so it is asked until it
  // is known; a descriptor that is no pidfd says nothing about it.
  static std::atomic<bool> has_inodes{false};
  static std::atomic<bool> has_none{false};
  if (has_none.load(std::memory_order_relaxed)) return errno = ENOTSUP, -1;
  if (!has_inodes.load(std::memory_order_relaxed)) {
    constexpr auto pid_fs_magic = 0x50494446;
    constexpr auto anonymous_inode_fs_magic = 0x09041934;
    struct ::statfs system {};
    if (::fstatfs(pidfd, &system) != 0) return -1;
    if (system.f_type == anonymous_inode_fs_magic) has_none.store(true, std::memory_order_relaxed);
    if (system.f_type != pid_fs_magic) return errno = ENOTSUP, -1;
    has_inodes.store(true, std::memory_order_relaxed);
  }
  struct ::stat file {};  // of 64 bits in 32-bit builds, too: _FILE_OFFSET_BITS
  if (::fstat(pidfd, &file) != 0) return -1;
  *inode = file.st_ino;
  *device = file.st_dev;
  return 0;
}

bool proc_has_our_numbers() noexcept {
  std::array<char, 16> number{};
  ssize_t length = ::readlink("/proc/self", number.data(), number.size() - 1);
  return length > 0 && std::atoi(number.data()) == ::getpid();
}

int start_time_of(pid_t pid, std::uint64_t* ticks) noexcept {
  std::array<char, 64> path{};
  std::array<char, 1024> text{};
  if (!proc_has_our_numbers()) return errno = ENOTSUP, -1;
  std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
  if (read_small_file(path.data(), text) < 0) return -1;
  const char* field = std::strrchr(text.data(), ')');  // of field 2, the name, which may hold anything
  for (int number = 3; number <= 22 && field != nullptr; ++number) field = std::strchr(field + 1, ' ');
  if (field == nullptr) return errno = ENOTSUP, -1;
  *ticks = std::strtoull(field, nullptr, 10);
  return 0;
}

int sigaction(int signum, const struct ::sigaction* act, struct ::sigaction* old) noexcept {
  return ::sigaction(signum, act, old);
}

int thread_mask(int how, const sigset_t* set, sigset_t* old) noexcept {
  return ::pthread_sigmask(how, set, old);
}

int sigpending(sigset_t* set) noexcept { return ::sigpending(set); }

std::uint64_t monotonic_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t thread_cpu_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace uvreap::sys
