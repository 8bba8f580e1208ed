#include "init_supervisor.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <vector>

#include "init_leftovers.hpp"

namespace pid1 {
namespace {

constexpr std::uint64_t tick_ms = 10;        // how often we look whether something is left
constexpr std::uint64_t patience_ms = 1000;  // for SIGKILL to be obeyed, and for a reader to read

void complain(int error, const char* what) {
  std::fprintf(stderr, "uvreap init: cannot %s: %s\n", what, uv_strerror(error));
}

}  // namespace

supervisor::supervisor(uv_loop_t& loop, const settings& settings, const inherited_signals& inherited,
                       int stats)
    : loop_(loop),
      settings_(settings),
      inherited_(inherited),
      // No grace for orphans: nobody else in this process waits for children.
      reaper_(loop, {.children = uvreap::scope::any(),
                     .backend = settings.backend,
                     .on_unclaimed = [this](const uvreap::child_exit& exit) { on_orphan(exit); },
                     .unclaimed_grace = std::chrono::milliseconds(0),
                     .sole_parent = true}),
      signals_(loop, [this](int signum) { on_signal(signum); }),
      errors_(loop, STDERR_FILENO, [this] { close_if_written(); }),
      stats_(loop, stats, [this] { close_if_written(); }),
      has_stats_(stats >= 0) {
  uv_timer_init(&loop_, &timer_);  // cannot fail
  timer_.data = this;
}

int supervisor::run() {
  if (start() != 0) close();
  uv_run(&loop_, UV_RUN_DEFAULT);
  // A reader that never reads has a thread of the pool, and libuv would wait for it at a usual exit.
  if (errors_.is_busy() || stats_.is_busy()) ::_exit(exit_status_);
  return exit_status_;
}

int supervisor::start() {
  if (int error = reaper_.start(); error != 0) return complain(error, "start the reaper"), error;
  if (int error = signals_.start(); error != 0) return complain(error, "listen to signals"), error;
  auto told = [this](const uvreap::child_exit& exit) { on_end(exit); };
  uvreap::watch_options watched{
      .on_change = [this](const uvreap::child_change& change) { on_change(change); }};
  began_ns_ = uv_hrtime();
  int error = reaper_.fork(
      &child_, [this] { return become_command(); }, watched, told);
  if (error != 0) complain(error, "fork");
  return error;
}

int supervisor::become_command() const {
  terminal_.enter_child();
  std::vector<char*> words;
  for (const std::string& word : settings_.command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  inherited_.give_back();
  ::execvp(words[0], words.data());
  int error = errno;
  ::dprintf(STDERR_FILENO, "uvreap init: cannot run %s: %s\n", words[0], ::strerror(error));
  return error == ENOENT ? 127 : 126;  // as a shell says it
}

// ---- while the child runs ------------------------------------------------------------------------

void supervisor::on_signal(int signum) {
  if (phase_ != phase::running) return;
  auto found = settings_.rewrites.find(signum);
  if (found != settings_.rewrites.end()) signum = found->second;
  if (signum == SIGCONT) terminal_.give_to(child_);  // a shell's fg gave it to us
  if (signum != 0) forward(signum);
}

void supervisor::forward(int signum) {
  if (reaper_.kill(child_, 0) != 0) return;  // it has ended; from here on its number is nobody else's
  ++report_.forwarded;
  // Without a group the child has not come to make it yet, and is all there is.
  if (settings_.to_group && ::kill(-child_, signum) == 0) return;
  (void)reaper_.kill(child_, signum);
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
  if (!settings_.warns) return;
  std::ostringstream line;
  line << "uvreap init: reaped orphan " << exit << '\n';
  if (!errors_.write(line.str())) ++report_.warnings_dropped;
}

// ---- when it has ended ---------------------------------------------------------------------------

void supervisor::on_end(const uvreap::child_exit& exit) {
  report_.child = exit;
  report_.wall = std::chrono::nanoseconds(uv_hrtime() - began_ns_);
  if (exit.lost) {
    say("the child's status was taken by somebody else");
  } else {
    exit_status_ = exit.status.signaled() ? 128 + exit.status.term_signal() : exit.status.exit_code();
  }
  phase_ = phase::ending;
  if (!leftovers::send(SIGTERM) && all_told()) return finish();
  (void)leftovers::send(SIGCONT);  // a stopped process does not see SIGTERM
  // By the exact clock: the loop's has whole milliseconds, and in them a grace is over up to one early.
  grace_over_ns_ =
      uv_hrtime() + static_cast<std::uint64_t>(std::chrono::nanoseconds(settings_.grace).count());
  auto tick = [](uv_timer_t* timer) { static_cast<supervisor*>(timer->data)->on_tick(); };
  uv_timer_start(&timer_, tick, 1, tick_ms);
}

void supervisor::on_tick() {
  std::uint64_t now_ns = uv_hrtime();
  bool is_grace_over = now_ns >= grace_over_ns_;
  bool is_left = leftovers::send(is_grace_over ? SIGKILL : 0);
  if (!is_left && all_told()) return finish();
  report_.killed_leftovers = report_.killed_leftovers || (is_left && is_grace_over);
  // Not to be killed by us, or asleep in the kernel. (After a PID 1 the kernel ends all that is left.)
  if (now_ns >= grace_over_ns_ + patience_ms * 1'000'000) finish();
}

// An orphan is gone from /proc when it is reaped, and told one turn later: close() would drop it in between.
bool supervisor::all_told() const { return report_.orphans == reaper_.stats().unclaimed; }

void supervisor::finish() {
  phase_ = phase::writing;
  terminal_.take_back_from(child_);
  auto out_of_patience = [](uv_timer_t* timer) {
    auto* self = static_cast<supervisor*>(timer->data);
    self->close();
    uv_stop(&self->loop_);
  };
  uv_timer_start(&timer_, out_of_patience, patience_ms, 0);
  report_.reaper = reaper_.stats();
  if (has_stats_) (void)stats_.write(report_.json(exit_status_));
  close_if_written();
}

void supervisor::close_if_written() {
  if (phase_ != phase::writing || stats_.is_busy()) return;
  if (has_stats_ && stats_.error() != 0) {
    has_stats_ = false;
    if (exit_status_ == 0) exit_status_ = own_error;
    say("cannot write the stats: " + std::string(uv_strerror(stats_.error())));
  }
  if (!errors_.is_busy()) close();
}

void supervisor::close() {
  if (phase_ == phase::closed) return;
  phase_ = phase::closed;
  reaper_.close();
  signals_.close();
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
}

void supervisor::say(const std::string& what) { (void)errors_.write("uvreap init: " + what + '\n'); }

}  // namespace pid1
