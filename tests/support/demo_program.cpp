#include "demo_program.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace test {
namespace {

using std::chrono::steady_clock;

struct place {
  where out;
  int out_end;
  int error_end;
};

bool is_terminal(where out) { return out == where::terminal || out == where::whole_terminal; }

void take_place(const place& at) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a test that is killed takes the demo with it, and that its children
  if (!is_terminal(at.out)) ::setpgid(0, 0);
  if (at.out == where::pipe || at.out == where::small_pipe || at.out == where::non_blocking)
    ::dup2(at.out_end, STDOUT_FILENO);
  if (at.out == where::closed) ::close(STDOUT_FILENO);
  if (at.out == where::full_disk) ::dup2(::open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
  if (is_terminal(at.out)) ::setenv("TERM", "xterm", 0);
  if (at.out != where::whole_terminal) ::dup2(at.error_end, STDERR_FILENO);
}

// A runner may block or ignore signals (nohup and a shell's & do), and the test has an alarm.
void take_signals(bool blocks_sigterm) {
  for (int signum = 1; signum < NSIG; ++signum) ::signal(signum, SIG_DFL);
  sigset_t mask;
  sigemptyset(&mask);
  if (blocks_sigterm) sigaddset(&mask, SIGTERM);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

[[noreturn]] void become_the_demo(const std::vector<std::string>& arguments) {
  const char* program = std::getenv("UVREAP_DEMO");
  if (program == nullptr) ::_exit(99);
  std::vector<char*> words{const_cast<char*>(program)};
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  ::execv(program, words.data());
  ::_exit(98);
}

struct fields {
  std::string state;
  pid_t parent = 0;
  pid_t group = 0;
};

fields fields_of(const std::filesystem::path& process) {
  std::ifstream stat(process / "stat");
  std::string text;
  fields found;
  if (!std::getline(stat, text)) return found;  // no process, or gone meanwhile
  std::istringstream after_name(text.substr(text.rfind(')') + 1));
  after_name >> found.state >> found.parent >> found.group;
  return found;
}

}  // namespace

bool no_terminals() {
  if (::access("/dev/pts/ptmx", F_OK) == 0) return false;
  MESSAGE("SKIP: no terminals here: /dev/pts is not mounted");
  return true;
}

demo_program::demo_program(const std::vector<std::string>& arguments, where out, bool blocks_sigterm) {
  int out_ends[2] = {-1, -1};
  int error_ends[2];
  REQUIRE(::pipe2(error_ends, O_CLOEXEC) == 0);
  if (!is_terminal(out)) REQUIRE(::pipe2(out_ends, O_CLOEXEC) == 0);
  if (out == where::small_pipe || out == where::non_blocking)
    REQUIRE(::fcntl(out_ends[0], F_SETPIPE_SZ, 4096) == 4096);
  if (out == where::non_blocking) REQUIRE(::fcntl(out_ends[1], F_SETFL, O_WRONLY | O_NONBLOCK) == 0);
  pid_ = is_terminal(out) ? ::forkpty(&out_, nullptr, nullptr, nullptr) : ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    take_place({out, out_ends[1], error_ends[1]});
    take_signals(blocks_sigterm);
    become_the_demo(arguments);
  }
  if (!is_terminal(out)) {
    ::setpgid(pid_, pid_);  // here as in the child: whichever comes first
    ::close(out_ends[1]);
    out_ = out_ends[0];
  }
  ::close(error_ends[1]);
  error_ = error_ends[0];
}

demo_program::~demo_program() {
  if (!has_ended_ || processes() != 0) ::kill(-pid_, SIGKILL);
  if (!has_ended_) ::waitpid(pid_, nullptr, 0);
  close_output();
  ::close(error_);
}

void demo_program::send(int signum) const { REQUIRE(::kill(pid_, signum) == 0); }
void demo_program::press(char key) const { REQUIRE(::write(out_, &key, 1) == 1); }

void demo_program::resize(unsigned short columns) const {
  winsize size{.ws_row = 24, .ws_col = columns};
  REQUIRE(::ioctl(out_, TIOCSWINSZ, &size) == 0);
}

void demo_program::close_output() {
  if (out_ >= 0) ::close(out_);
  out_ = -1;
}

bool demo_program::read_some(int descriptor, std::string& into) {
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - steady_clock::now()).count();
  pollfd ready{.fd = descriptor, .events = POLLIN, .revents = 0};
  int result = ::poll(&ready, 1, left > 0 ? static_cast<int>(left) : 0);
  REQUIRE_MESSAGE(result == 1, "the demo says nothing more, and does not end: ", output, errors);
  char text[4096];
  ssize_t length = ::read(descriptor, text, sizeof text);  // EIO: a terminal that nobody has open any more
  if (length > 0) into.append(text, static_cast<std::size_t>(length));
  return length > 0;
}

bool demo_program::read_until(const std::string& text, int times) {
  while (count(text) < times) {
    if (!read_some(out_, output)) return false;
  }
  return true;
}

int demo_program::end() {
  while (out_ >= 0 && read_some(out_, output)) {
  }
  while (read_some(error_, errors)) {
  }
  int word = 0;
  rusage usage{};
  while (::wait4(pid_, &word, 0, &usage) < 0 && errno == EINTR) {
  }
  has_ended_ = true;
  most_resident_kib_ = usage.ru_maxrss;
  return WIFEXITED(word) ? WEXITSTATUS(word) : signal_base + WTERMSIG(word);
}

int demo_program::count(const std::string& text) const {
  int times = 0;
  for (std::size_t at = 0; (at = output.find(text, at)) != std::string::npos; at += text.size()) ++times;
  return times;
}

std::vector<nlohmann::json> demo_program::events(const std::string& kind) const {
  std::vector<nlohmann::json> found;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    auto event = nlohmann::json::parse(line, nullptr, false);
    REQUIRE_MESSAGE(event.is_object(), line);
    if (event["event"] == kind) found.push_back(event);
  }
  return found;
}

int demo_program::processes() const {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    if (fields_of(entry.path()).group == pid_) ++found;
  }
  return found;
}

bool demo_program::has_processes(int count) const {
  while (processes() != count) {
    if (steady_clock::now() > deadline_) return false;
    ::usleep(20'000);
  }
  return true;
}

bool demo_program::is_zombie() const { return fields_of("/proc/" + std::to_string(pid_)).state == "Z"; }

}  // namespace test
