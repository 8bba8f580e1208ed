#include "supervised.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "children.hpp"
#include "uvreap/process.hpp"

namespace test {
namespace {

using std::chrono::steady_clock;

int memory(const char* name) {
  int descriptor = ::memfd_create(name, MFD_CLOEXEC);
  REQUIRE(descriptor >= 0);
  return descriptor;
}

std::string contents(int descriptor) {
  std::string text;
  char part[4096];
  ssize_t length = 0;
  while ((length = ::pread(descriptor, part, sizeof part, static_cast<off_t>(text.size()))) > 0) {
    text.append(part, static_cast<std::size_t>(length));
  }
  return text;
}

// In the forked child. A pipe that nobody reads is full already.
void put(int place, stream what, int memory) {
  if (what == stream::memory) ::dup2(memory, place);
  if (what == stream::closed) ::close(place);
  if (what == stream::full_disk) ::dup2(::open("/dev/full", O_WRONLY | O_CLOEXEC), place);
  if (what != stream::broken_pipe && what != stream::stuck_pipe) return;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) ::_exit(98);
  ::dup2(ends[1], place);
  if (what == stream::broken_pipe) ::close(ends[0]);
  if (what == stream::stuck_pipe) {
    ::fcntl(ends[0], F_SETFD, 0);  // it lives as long as the program
    ::fcntl(place, F_SETFL, O_NONBLOCK);
    while (::write(place, "................", 16) > 0) {
    }
    ::fcntl(place, F_SETFL, 0);
  }
}

}  // namespace

words operator+(words all, const words& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

supervised::supervised(const words& command, const setting& how) {
  REQUIRE(uvreap::become_subreaper() == 0);
  int input = memory("input");
  REQUIRE(::pwrite(input, how.input.data(), how.input.size(), 0) == static_cast<ssize_t>(how.input.size()));
  output_ = memory("output");
  errors_ = memory("errors");
  pid_ = how.on_terminal ? ::forkpty(&terminal_, nullptr, nullptr, nullptr) : ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) become(command, how, input);
  ::close(input);
  if (terminal_ >= 0) ::fcntl(terminal_, F_SETFD, FD_CLOEXEC);
}

void supervised::become(const words& command, const setting& how, int input) const {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!how.on_terminal) {
    ::setsid();
    ::dup2(input, STDIN_FILENO);
    put(STDOUT_FILENO, how.output, output_);
    put(STDERR_FILENO, how.errors, errors_);
  }
  for (int signum = 1; signum < NSIG; ++signum) ::signal(signum, SIG_DFL);  // a runner may ignore some
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(97);
}

supervised::~supervised() {
  if (!has_ended_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  (void)left();
  ::close(output_);
  ::close(errors_);
  if (terminal_ >= 0) ::close(terminal_);
}

void supervised::send(int signum) const { REQUIRE(::kill(pid_, signum) == 0); }

void supervised::type(const std::string& text) const {
  REQUIRE(::write(terminal_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

void supervised::read_terminal() {
  pollfd ready{.fd = terminal_, .events = POLLIN, .revents = 0};
  while (::poll(&ready, 1, 0) == 1) {
    char part[4096];
    ssize_t length = ::read(terminal_, part, sizeof part);  // EIO: nobody has it open any more
    if (length <= 0) return;
    typed_.append(part, static_cast<std::size_t>(length));
  }
}

bool supervised::says(const std::string& text, std::chrono::milliseconds patience) {
  auto deadline = steady_clock::now() + patience;
  while (output().find(text) == std::string::npos && errors().find(text) == std::string::npos) {
    if (steady_clock::now() > deadline) return false;
    ::usleep(2000);
  }
  return true;
}

int supervised::end(std::chrono::milliseconds patience) {
  auto deadline = steady_clock::now() + patience;
  int word = 0;
  bool is_late = false;
  while (::waitpid(pid_, &word, is_late ? 0 : WNOHANG) == 0) {
    (void)output();  // a terminal has to be read
    is_late = steady_clock::now() > deadline;
    if (is_late) ::kill(pid_, SIGKILL);
    ::usleep(1000);
  }
  has_ended_ = true;
  if (is_late) return -1;
  return WIFEXITED(word) ? WEXITSTATUS(word) : 1000 + WTERMSIG(word);
}

// Children of what is killed come to us, too.
int supervised::left() {
  int count = 0;
  while (int killed = clean_up_children()) count += killed;
  return count;
}

std::string supervised::output() {
  if (terminal_ < 0) return contents(output_);
  read_terminal();
  return typed_;
}

std::string supervised::errors() { return contents(errors_); }

}  // namespace test
