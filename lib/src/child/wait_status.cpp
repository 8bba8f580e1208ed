#include "uvreap/child_exit.hpp"

#include <string.h>
#include <sys/wait.h>

#include <ostream>

namespace uvreap {
namespace {

std::string signal_text(int signum) {
  std::string text = "signal " + std::to_string(signum);
  const char* name = sigabbrev_np(signum);  // none for the real-time signals
  return name == nullptr ? text : text + " (SIG" + name + ")";
}

}  // namespace

// The macros answer no to all of these for -1, whose low seven bits are a stop's, and whose next eight are
// not.
bool wait_status::exited() const noexcept { return WIFEXITED(raw_); }
int wait_status::exit_code() const noexcept { return exited() ? WEXITSTATUS(raw_) : -1; }
bool wait_status::signaled() const noexcept { return WIFSIGNALED(raw_); }
int wait_status::term_signal() const noexcept { return signaled() ? WTERMSIG(raw_) : 0; }
bool wait_status::core_dumped() const noexcept { return signaled() && WCOREDUMP(raw_); }
bool wait_status::stopped() const noexcept { return WIFSTOPPED(raw_); }
int wait_status::stop_signal() const noexcept { return stopped() ? WSTOPSIG(raw_) : 0; }
bool wait_status::continued() const noexcept { return WIFCONTINUED(raw_); }
bool wait_status::success() const noexcept { return exited() && WEXITSTATUS(raw_) == 0; }

std::string wait_status::text() const {
  if (exited()) return "exited with " + std::to_string(exit_code());
  if (signaled()) return "killed by " + signal_text(term_signal()) + (core_dumped() ? ", core dumped" : "");
  if (stopped()) return "stopped by " + signal_text(stop_signal());
  if (continued()) return "continued";
  return "unknown";
}

std::ostream& operator<<(std::ostream& out, const wait_status& status) { return out << status.text(); }

}  // namespace uvreap
