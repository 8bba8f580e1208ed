#include "children.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "proc.hpp"

namespace test {
namespace {

void must(bool held, const char* what) {
  if (held) return;
  std::perror(what);
  std::abort();
}

}  // namespace

gate::gate() { must(::pipe2(ends_, O_CLOEXEC) == 0, "pipe2"); }

gate::~gate() {
  ::close(ends_[0]);
  ::close(ends_[1]);
}

void gate::wait() const {
  ::close(ends_[1]);  // our copy: so that a dead parent is an end of file
  char byte = 0;
  while (::read(ends_[0], &byte, 1) < 0 && errno == EINTR) {
  }
}

void gate::open(int children) const {
  std::string bytes(static_cast<std::size_t>(children), 'x');
  must(::write(ends_[1], bytes.data(), bytes.size()) == children, "write to a gate");
}

pid_t make_child(const std::function<int()>& body) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = ::fork();
  if (pid == 0) {
    // doctest's handlers, which would report the child's end as a crash of the test, and ours. A signal that
    // is here before they are gone waits.
    for (int signum : {SIGCHLD, SIGALRM, SIGHUP, SIGTERM, SIGINT, SIGABRT, SIGSEGV, SIGFPE, SIGILL}) {
      ::signal(signum, SIG_DFL);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::_exit(body());
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  must(pid >= 0, "fork");
  return pid;
}

void wait_until_ended(pid_t pid) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
}

std::set<pid_t> children() {
  std::set<pid_t> found;
  DIR* tasks = ::opendir("/proc/self/task");
  must(tasks != nullptr, "/proc/self/task");
  while (dirent* task = ::readdir(tasks)) {
    if (task->d_name[0] == '.') continue;
    found.merge(children_of(std::atoi(task->d_name)));
  }
  ::closedir(tasks);
  return found;
}

std::set<pid_t> zombies() {
  std::set<pid_t> found;
  for (pid_t pid : children()) {
    if (state_of(pid) == 'Z') found.insert(pid);
  }
  return found;
}

int open_descriptors() {
  int count = 0;
  DIR* open = ::opendir("/proc/self/fd");
  must(open != nullptr, "/proc/self/fd");
  while (::readdir(open) != nullptr) ++count;
  ::closedir(open);
  return count - 3;  // ".", ".." and the directory itself
}

int clean_up_children() {
  int count = 0;
  for (pid_t pid : children()) {
    ::kill(pid, SIGKILL);
    if (::waitpid(pid, nullptr, __WALL) == pid) ++count;
  }
  return count;
}

}  // namespace test
