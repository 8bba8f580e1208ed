// A process beside the test's own: for what ends a process (a call that aborts), what changes one for good
// (limits, namespaces), and for being a forked copy.
//
//     auto end = test::apart([&] {
//       HOLDS(reaper.watch(pid, told) == UV_EPERM);
//       return 0;
//     });
//     CHECK_MESSAGE(end.word == 0, end.said);
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>

#include "uvreap/process.hpp"

// doctest's checks cannot be used there, since they would report into a copy of the test's own report.
#define HOLDS(condition)                                                          \
  do {                                                                            \
    if (!(condition)) return test::does_not_hold(#condition, __FILE__, __LINE__); \
  } while (false)

namespace test {

struct end_of_process {
  int word = -1;     // the wait word
  std::string said;  // what it wrote to stderr
};

inline int does_not_hold(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  return 99;
}

// What a fresh process needs before it may fail: doctest's handlers would report for it, and a core file or a
// process that hangs would outlive the test.
inline void be_apart(int said) {
  ::dup2(said, 2);
  for (int signum : {SIGABRT, SIGSEGV, SIGILL, SIGFPE, SIGALRM}) ::signal(signum, SIG_DFL);
  rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::alarm(60);
}

// How a child of ours ended that keeps the write end of a pipe as its stderr. Its status is waited for by
// number.
inline end_of_process end_of(pid_t pid, int said) {
  end_of_process end;
  std::array<char, 4096> text{};
  for (ssize_t length = 0; (length = ::read(said, text.data(), text.size())) != 0;) {
    if (length < 0 && errno != EINTR) break;
    if (length > 0) end.said.append(text.data(), static_cast<std::size_t>(length));
  }
  while (::waitpid(pid, &end.word, 0) < 0 && errno == EINTR) {
  }
  return end;
}

inline pid_t fork_as_uvreap_does() {
  pid_t pid = -1;
  return uvreap::fork(&pid) == 0 ? pid : -1;
}

// Runs the body in a child made by fork_one, which is fork(2) if nothing else is said, and waits for its end.
inline end_of_process apart(
    const std::function<int()>& body, const std::function<pid_t()>& fork_one = [] { return ::fork(); }) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {.said = "no pipe"};
  pid_t pid = fork_one();
  if (pid == 0) {
    be_apart(ends[1]);
    ::_exit(body());
  }
  ::close(ends[1]);
  end_of_process end{.said = "no fork"};
  if (pid > 0) end = end_of(pid, ends[0]);
  ::close(ends[0]);
  return end;
}

}  // namespace test
