// A program that makes and watches children, in another language: the scripts in peers/. It is a child of the
// cell, so that the helper children are its own, and speaks lines:
//
//     it    hello NOW VERSION...               once, when it can begin
//     cell  make SLOT                          it starts HELPER MEMORY_DESCRIPTOR SLOT ITS_PID
//     it    told SLOT BEGAN MADE TOLD          when that child ended; TOLD is read in the callback's first
//     line
//
// Times are its own readings of CLOCK_MONOTONIC in ns, so no figure contains the way of a line; that of
// making comes with the end, so that a line less is between the two. It writes each line with one system
// call.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "../engine.hpp"
#include "build_facts.hpp"

namespace bench {
namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

class program : public engine {
 public:
  program(engine_setting setting, std::string name, std::vector<std::string> words)
      : engine(std::move(setting)), name_(std::move(name)), words_(std::move(words)) {}
  // The process of a cell ends before it: the program dies with it.

  std::string start() override {
    auto helper = setting_.children.command(no_slot);
    words_.insert(words_.end(), helper.begin(), helper.begin() + 2);
    std::int64_t before = now();
    launch();
    if (::clock_getcpuclockid(pid_, &cpu_clock_) != 0) fail("clock_getcpuclockid");
    while (version_.empty()) turn(true);
    if (hello_ < before || hello_ > now())
      throw std::runtime_error(name_ + " reads another clock than we do");
    setting_.children.look_while_waiting([this] { turn(false); });
    calm_down();
    return {};
  }

  void watch(pid_t, int) override { throw std::logic_error(name_ + " watches only what it made"); }
  [[nodiscard]] bool makes_its_own() const override { return true; }
  [[nodiscard]] std::string version() const override { return version_; }

  void make(int slot) override {
    std::string line = "make " + std::to_string(slot) + "\n";
    auto size = static_cast<ssize_t>(line.size());
    if (::write(to_, line.data(), line.size()) != size) throw std::runtime_error(how_it_ended());
  }

  void turn(bool may_sleep) override {
    pollfd readable{.fd = from_, .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, may_sleep ? -1 : 0) <= 0) return;
    char part[65536];
    ssize_t size = ::read(from_, part, sizeof(part));
    if (size < 0 && errno == EINTR) return;
    if (size <= 0) throw std::runtime_error(how_it_ended());
    text_.append(part, static_cast<std::size_t>(size));
    std::size_t at = 0;
    for (std::size_t end; (end = text_.find('\n', at)) != std::string::npos; at = end + 1) {
      hear(text_.substr(at, end - at));
    }
    text_.erase(0, at);
  }

  void calm_down() override {
    turn(false);
    (void)cpu_time();
  }

  // What it does after the callback counts, and nothing says when that is done: its clock is read until it
  // stood still for a millisecond. Once is not enough, for it may be waiting for a processor.
  [[nodiscard]] std::int64_t cpu_time() const override {
    std::int64_t read = read_clock(cpu_clock_);
    for (int still = 0; still < 4; ++still) {
      sleep_for(250'000);
      std::int64_t again = read_clock(cpu_clock_);
      if (again != read) still = -1;
      read = again;
    }
    return read;
  }

 private:
  void launch() {
    int commands[2];
    int answers[2];
    if (::pipe2(commands, O_CLOEXEC) != 0 || ::pipe2(answers, O_CLOEXEC) != 0) fail("pipe2");
    std::vector<char*> arguments;
    for (auto& word : words_) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t cell = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) {
      // Neither Python nor Node can ask for that itself; exec keeps it. Its children die with it then.
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != cell) ::_exit(127);
      ::signal(SIGINT, SIG_IGN);  // Ctrl-C reaches everybody, and Python would print where it was
      ::dup2(commands[0], STDIN_FILENO);
      ::dup2(answers[1], STDOUT_FILENO);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(commands[0]);
    ::close(answers[1]);
    to_ = commands[1];
    from_ = answers[0];
    ::signal(SIGPIPE, SIG_IGN);  // that it ended, reading says
  }

  void hear(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "hello" && words >> hello_ && std::getline(words >> std::ws, version_)) return;
    int slot = no_slot;
    child_times times;
    if (verb == "told" && words >> slot >> times.began >> times.made >> times.told) {
      return told_elsewhere(slot, times);
    }
    throw std::runtime_error(name_ + " said '" + line + "'");
  }

  [[nodiscard]] std::string how_it_ended() const {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return name_ + " ended " + (version_.empty() ? "before it could begin" : "in the middle") +
           ", wait status " + std::to_string(status);
  }

  std::string name_;
  std::vector<std::string> words_;
  pid_t pid_ = -1;
  clockid_t cpu_clock_{};
  int to_ = -1;
  int from_ = -1;
  std::string text_;  // read, and not a line yet
  std::int64_t hello_ = 0;
  std::string version_;
};

// The system's own first: what stands before it in PATH is often a script that looks for it. Empty: nowhere.
std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream places("/usr/bin:" + std::string(path != nullptr ? path : ""));
  for (std::string place; std::getline(places, place, ':');) {
    std::string file = std::filesystem::path(place) / name;
    if (!place.empty() && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

engine_entry script(engine_entry entry, const std::string& interpreter, const std::string& file) {
  std::string found = find_program(interpreter);
  entry.program = true;
  if (found.empty()) {
    entry.absent = interpreter + " is neither in /usr/bin nor in PATH";
  } else {
    entry.make = maker<program>(entry.name, std::vector<std::string>{found, PEERS_DIRECTORY "/" + file});
  }
  return entry;
}

engine_entry go() {
  // Each Wait has a thread of its own, and newer ones a pidfd.
  engine_entry entry{.name = "go", .descriptors_per_child = 1, .threads_per_child = 1, .program = true};
  if (std::string_view(GO_PEER).empty()) {
    entry.absent = "not built in: go was not there when the build was configured";
  } else {
    auto beside = std::filesystem::read_symlink("/proc/self/exe").parent_path() / GO_PEER;
    entry.make = maker<program>(entry.name, std::vector<std::string>{beside});
  }
  return entry;
}

}  // namespace

std::vector<engine_entry> program_entries() {
  return {
      script({.name = "node"}, "node", "child_process_peer.js"),
      // Before 3.12 a thread waits for each child, since then a pidfd is held.
      script({.name = "asyncio", .descriptors_per_child = 1, .threads_per_child = 1}, "python3",
             "asyncio_peer.py"),
      go(),
  };
}

}  // namespace bench
