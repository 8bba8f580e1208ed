#include "init.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <uvreap/process.hpp>

#include "command.hpp"
#include "descriptor_reserve.hpp"
#include "settings.hpp"
#include "signals.hpp"
#include "supervisor.hpp"
#include "terminal.hpp"
#include "writer.hpp"

namespace {

constexpr std::chrono::milliseconds readers_patience{1000};

// A standard descriptor that is closed must not become one of the loop's own. What takes its place can be
// neither read nor written, as before, and needs no /dev. The place is closed again in the child, which gets
// what we got.
bool fill_standard_descriptors() {
  for (int place = STDIN_FILENO; place <= STDERR_FILENO; ++place) {
    if (::fcntl(place, F_GETFD) < 0 && ::open("/", O_PATH | O_CLOEXEC) < 0) return false;
  }
  return true;
}

// Before there is a child: what cannot be written then is better said now. -1: an error.
int open_stats(const std::string& path) {
  // Non-blocking: a FIFO without a reader is ENXIO, and not waited for.
  constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK;
  return path == "-" ? STDERR_FILENO : ::open(path.c_str(), flags, 0666);
}

// The parent may have ended before the kernel was asked.
int ask_for_parents_death(int signum) {
  pid_t parent = ::getppid();
  if (::prctl(PR_SET_PDEATHSIG, signum) != 0) return errno;
  return ::getppid() == parent || ::kill(::getpid(), signum) == 0 ? 0 : errno;
}

bool is_subreaper() {
  int answer = 0;
  return ::prctl(PR_GET_CHILD_SUBREAPER, &answer) == 0 && answer != 0;
}

// Returns only what kept it from beginning.
int run(const pid1::settings& settings, const pid1::inherited_signals& inherited, pid1::writer& errors) {
  auto complain = [&](int error, const std::string& what) {
    errors.say("cannot " + what + ": " + uv_strerror(error));
    return settings.as.own_error;
  };
  int stats = settings.stats.empty() ? -1 : open_stats(settings.stats);
  if (!settings.stats.empty() && stats < 0) return complain(-errno, "open " + settings.stats);
  if (settings.parent_death_signal != 0) {
    if (int error = ask_for_parents_death(settings.parent_death_signal); error != 0) {
      return complain(-error, "get a signal when the parent ends");
    }
  }
  if (settings.is_subreaper && ::getpid() != 1) {
    if (int error = uvreap::become_subreaper(); error != 0) return complain(error, "become a subreaper");
  }
  if (settings.verbosity >= 1 && ::getpid() != 1 && !is_subreaper()) {
    errors.say("neither process 1 nor a subreaper (-s): orphans go elsewhere, zombie reaping won't work");
  }

  pid1::terminal terminal;
  if (settings.in_session) terminal.leave();
  pid1::descriptor_reserve reserve;
  if (reserve.error() != 0) return complain(-reserve.error(), "have enough descriptors");
  pid1::running_command command;
  if (!settings.command.empty()) command = pid1::start_command(settings, inherited, terminal, errors);
  if (command.pid < 0) return complain(command.pid, "fork");
  reserve.give_up();
  if (::chdir("/") != 0) errors.say("cannot change to /");  // the command's directory is not ours to pin

  uv_loop_t loop;
  if (int error = uv_loop_init(&loop); error != 0) {
    if (command.pid != 0) ::kill(command.pid, SIGKILL);
    return complain(error, "make a loop");
  }
  pid1::supervisor supervisor(loop, settings, command, terminal, errors, stats);
  int exit_status = supervisor.run();
  errors.finish(readers_patience);
  ::_exit(exit_status);  // what would be taken apart here, the kernel does
}

}  // namespace

int init(int argc, char** argv) {
  pid1::inherited_signals inherited;  // before all else, so that none is lost
  pid1::personality whom = pid1::personality::of(argc > 0 ? argv[0] : "");
  pid1::writer errors(STDERR_FILENO, whom.name);
  if (!fill_standard_descriptors()) return whom.own_error;
  pid1::settings settings(std::move(whom));
  auto exit_status = settings.read(argc, argv, errors);
  if (!exit_status) exit_status = run(settings, inherited, errors);
  errors.finish(readers_patience);
  return *exit_status;
}
