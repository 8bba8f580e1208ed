#include "supervisor.hpp"

#include <signal.h>
#include <unistd.h>

#include <utility>

#include "../shared/printed.hpp"
#include "leftovers.hpp"
#include "signal_text.hpp"

namespace pid1 {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t tick_ms = 10;  // how often we look whether something is left
constexpr std::uint64_t never_ms = UINT64_MAX / 2;
constexpr std::uint64_t patience_ns = 1'000'000'000;  // for SIGKILL to be obeyed
constexpr std::chrono::milliseconds readers_patience = 1s;

bool is_stop_of_terminal(int signum) { return signum == SIGTSTP || signum == SIGTTIN || signum == SIGTTOU; }

std::string text_of(const uvreap::child_exit& exit) {
  const uvreap::resource_usage& usage = exit.usage;
  return print("pid %d %s (user %lld us, system %lld us, max RSS %lld KiB)", exit.pid,
               exit.status.text().c_str(), static_cast<long long>(usage.user_time.count()),
               static_cast<long long>(usage.system_time.count()),
               static_cast<long long>(usage.max_rss_bytes / 1024));
}

}  // namespace

supervisor::supervisor(uv_loop_t& loop, const settings& settings, const running_command& command,
                       terminal& terminal, writer& errors, int stats)
    : loop_(loop),
      settings_(settings),
      child_(command.pid),
      began_ns_(command.began_ns),
      terminal_(terminal),
      errors_(errors),
      stats_(stats),
      reaper_(loop, options()),
      exit_status_(settings.as.own_error) {
  uv_timer_init(&loop_, &timer_);  // cannot fail
  timer_.data = this;
}

uvreap::options supervisor::options() {
  // SIGCHLD is blocked and read with all other signals, so none is lost, and the poller has next to nothing
  // to do. No other code of this process has children. A sweep keeps nothing else waiting, so its time is
  // measured for --stats alone.
  uvreap::options chosen{.children = uvreap::scope::any(),
                         .backend = settings_.backend,
                         .sigchld = uvreap::sigchld_use::never,
                         .poll_every = std::chrono::seconds(64),
                         .sole_parent = true};
  if (stats_ < 0) chosen.budget_time = std::chrono::microseconds::max();
  if (tells_of_orphans()) chosen.on_unclaimed = [this](const uvreap::child_exit& exit) { on_orphan(exit); };
  return chosen;
}

// The loop is embedded, as uv_backend_timeout is for: it sleeps in signals_, and has a turn when something is
// due. No descriptor of it matters: of every child that ends there is a SIGCHLD.
int supervisor::run() {
  if (start() == 0) {
    while (phase_ != phase::over) {
      uv_run(&loop_, UV_RUN_NOWAIT);
      int signum = phase_ == phase::over ? 0 : signals_.next(uv_backend_timeout(&loop_));
      if (signum != 0) on_signal(signum);
    }
  } else if (child_ != 0) {
    ::kill(child_, SIGKILL);  // no memory, or no descriptor in the whole system
  }
  return exit_status_;
}

void supervisor::call_on_tick(uv_timer_t* timer) { static_cast<supervisor*>(timer->data)->on_tick(); }

int supervisor::start() {
  uv_timer_start(&timer_, call_on_tick, never_ms, 0);  // a loop without an active handle has no turns
  if (int error = reaper_.start(); error != 0) return complain(error, "start the reaper");
  if (child_ != 0) {
    auto told = [this](const uvreap::child_exit& exit) { on_exit(exit); };
    uvreap::watch_options watched;
    if (terminal_.is_there()) watched.on_change = [this](const uvreap::child_change& one) { on_change(one); };
    int error = reaper_.watch(child_, std::move(watched), told);
    if (error != 0) return complain(error, "watch the command");
    tell("pid " + std::to_string(child_) + " runs " + settings_.command[0]);
  } else {
    tell("reaping until SIGTERM or SIGINT comes");
  }
  return 0;
}

// ---- while the child runs ------------------------------------------------------------------------

void supervisor::on_signal(int signum) {
  if (signum == SIGCHLD) return (void)reaper_.sigchld_arrived();
  if (phase_ != phase::running) return;
  if (child_ == 0) {
    if (signum != SIGTERM && signum != SIGINT) return;
    exit_status_ = 0;
    return end();
  }
  bool stops_both = settings_.in_session && is_stop_of_terminal(signum);
  int handed_on = stops_both ? SIGSTOP : signum;  // a session of its own has nobody who would continue it
  auto found = settings_.rewrites.find(signum);
  if (found != settings_.rewrites.end()) handed_on = found->second;
  if (handed_on == SIGCONT) terminal_.give_to(child_);  // a shell's fg gave it to us
  if (handed_on != 0) hand_on(handed_on);
  if (stops_both) ::raise(SIGSTOP);  // for the shell that has us as its job
}

void supervisor::hand_on(int signum) {
  if (reaper_.kill(child_, 0) == UV_ESRCH) return;  // it has ended; until here its number is nobody else's
  // A command that has left its group, and has nobody in it, gets it alone.
  bool has_group_got_it = settings_.to_group && ::kill(-child_, signum) == 0;
  int error = has_group_got_it ? 0 : reaper_.kill(child_, signum);
  if (error == UV_ESRCH) return;
  if (error != 0) return errors_.say("cannot hand on " + signal_text(signum) + ": " + uv_strerror(error));
  ++report_.forwarded;
  tell(signal_text(signum) + " handed on");
}

void supervisor::on_change(const uvreap::child_change& change) {
  if (!change.status.stopped() || phase_ != phase::running) return;
  int signum = change.status.stop_signal();
  if (!terminal_.is_stopped(child_, signum)) return;  // whoever stopped it may continue it
  bool was_continued = terminal_.stop_beside(child_);
  if (reaper_.kill(child_, 0) != 0) return;
  terminal_.give_to(child_);
  // Where no shell can say fg, Ctrl-Z would be the end of it: so it does nothing, as the kernel has it for a
  // group that nobody can continue. Its other stops are left alone: it would only stop again.
  if (was_continued || signum == SIGTSTP) ::kill(-child_, SIGCONT);
}

void supervisor::on_orphan(const uvreap::child_exit& exit) {
  ++report_.orphans;
  if (exit.status.signaled()) ++report_.orphans_killed;
  if (settings_.warns) errors_.say("reaped orphan " + text_of(exit));
}

// ---- when it has ended ---------------------------------------------------------------------------

void supervisor::on_exit(const uvreap::child_exit& exit) {
  report_.child = exit;
  report_.wall = std::chrono::nanoseconds(uv_hrtime() - began_ns_);
  if (exit.lost) {
    errors_.say("the child's status was taken by somebody else");
  } else {
    tell(text_of(exit));
    exit_status_ = settings_.exit_status_for(exit.status.signaled() ? 128 + exit.status.term_signal()
                                                                    : exit.status.exit_code());
  }
  // As dumb-init does. While one of the group is left, its number is taken.
  if (settings_.in_session) (void)::kill(-child_, SIGTERM);
  end();
}

void supervisor::end() {
  phase_ = phase::ending;
  if (!send_to_leftovers(SIGTERM) && all_told()) return finish();
  (void)send_to_leftovers(SIGCONT);  // a stopped process does not see SIGTERM
  if (settings_.grace) tell("SIGTERM to what is left");
  // By the exact clock: the loop's has whole milliseconds, and in them a grace is over up to one early.
  auto grace = std::chrono::nanoseconds(settings_.grace.value_or(0ms));
  grace_over_ns_ = uv_hrtime() + static_cast<std::uint64_t>(grace.count());
  uv_timer_start(&timer_, call_on_tick, 1, tick_ms);
}

void supervisor::on_tick() {
  std::uint64_t now_ns = uv_hrtime();
  bool is_grace_over = now_ns >= grace_over_ns_;
  bool is_left = send_to_leftovers(is_grace_over ? SIGKILL : 0);
  if (!is_left && all_told()) return finish();
  report_.killed_leftovers = report_.killed_leftovers || (is_left && is_grace_over);
  // Not to be killed by us, or asleep in the kernel. (After a process 1 the kernel ends all that is left.)
  if (now_ns >= grace_over_ns_ + patience_ns) finish();
}

// Without a grace, as under a peer's name, they are none of our business.
bool supervisor::send_to_leftovers(int signum) const {
  return settings_.grace.has_value() && leftovers::send(signum);
}

// An orphan is gone from /proc when it is reaped, and told one turn later: close() would drop it in between.
bool supervisor::all_told() const {
  return !tells_of_orphans() || report_.orphans == reaper_.stats().unclaimed;
}

void supervisor::finish() {
  phase_ = phase::over;
  terminal_.take_back_from(child_);
  if (stats_ >= 0) write_stats();
}

void supervisor::write_stats() {
  errors_.finish(readers_patience);
  report_.reaper = reaper_.stats();
  report_.warnings_dropped = errors_.dropped();
  writer output(stats_, settings_.as.name);
  if (output.write(report_.json(exit_status_), readers_patience)) return;
  if (exit_status_ == 0) exit_status_ = settings_.as.own_error;
  (void)complain(-output.error(), "write the stats");
}

int supervisor::complain(int error, const char* what) const {
  errors_.say("cannot " + std::string(what) + ": " + uv_strerror(error));
  return error;
}

void supervisor::tell(const std::string& what) const {
  if (settings_.tells()) errors_.say(what);
}

}  // namespace pid1
