#include "uvreap/child_exit.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <uv.h>

#include <ostream>

#include "child/name_of.hpp"
#include "os/c_library.hpp"

namespace uvreap::inline v0 {
namespace {

std::string signal_text(int signum) {
  std::string text = "signal " + std::to_string(signum);
  const char* name = c_library::signal_abbreviation(signum);  // none for the real-time signals
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
bool wait_status::ended() const noexcept { return WIFEXITED(raw_) || WIFSIGNALED(raw_); }
bool wait_status::success() const noexcept { return exited() && WEXITSTATUS(raw_) == 0; }

std::string wait_status::text() const {
  if (exited()) return "exited with " + std::to_string(exit_code());
  if (signaled()) return "killed by " + signal_text(term_signal()) + (core_dumped() ? ", core dumped" : "");
  if (stopped()) return "stopped by " + signal_text(stop_signal());
  if (continued()) return "continued";
  return "unknown";
}

std::ostream& operator<<(std::ostream& out, const wait_status& status) { return out << status.text(); }

resource_usage resource_usage::from(const ::rusage& usage) noexcept {
  using std::chrono::microseconds, std::chrono::seconds;
  return {.user_time = seconds{usage.ru_utime.tv_sec} + microseconds{usage.ru_utime.tv_usec},
          .system_time = seconds{usage.ru_stime.tv_sec} + microseconds{usage.ru_stime.tv_usec},
          .max_rss_bytes = std::int64_t{usage.ru_maxrss} * 1024,  // KiB: getrusage(2)
          .minor_faults = usage.ru_minflt,
          .major_faults = usage.ru_majflt,
          .voluntary_switches = usage.ru_nvcsw,
          .involuntary_switches = usage.ru_nivcsw,
          .blocks_in = usage.ru_inblock,
          .blocks_out = usage.ru_oublock};
}

std::ostream& operator<<(std::ostream& out, const resource_usage& usage) {
  return out << "user " << usage.user_time.count() << " us, system " << usage.system_time.count()
             << " us, max RSS " << usage.max_rss_bytes / 1024 << " KiB, faults " << usage.minor_faults << '+'
             << usage.major_faults << ", switches " << usage.voluntary_switches << '+'
             << usage.involuntary_switches << ", blocks " << usage.blocks_in << '+' << usage.blocks_out;
}

std::ostream& operator<<(std::ostream& out, notice said) {
  return out << name_of(said, {"sigchld", "backend", "poller", "already"});
}

std::ostream& operator<<(std::ostream& out, const child_exit& exit) {
  out << "pid " << exit.pid;
  if (exit.error != 0) return out << " not watched: " << uv_strerror(exit.error);
  if (exit.lost) return out << " lost: somebody else took its status (noticed by " << exit.noticed_by << ')';
  out << ' ' << exit.status;
  if (exit.timed_out) out << ", timed out";
  if (exit.recovered) return out << " (recovered, noticed by " << exit.noticed_by << ')';
  return out << " (" << exit.usage << "; noticed by " << exit.noticed_by << ')';
}

std::ostream& operator<<(std::ostream& out, const child_change& change) {
  return out << "pid " << change.pid << ' ' << change.status;
}

}  // namespace uvreap::inline v0
