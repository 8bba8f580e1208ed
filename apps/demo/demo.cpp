// Two experiments with fork, on a loop that goes on working.
//
//   1. A fork, to see that the child has a copy of our memory: what it changes there, we do not see.
//   2. Children that sleep. Nothing waits for them: the loop counts its turns, and is told as each ends.
//
// This file is what a program does with the library; report.cpp is what it says,
// output.cpp how that is written.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>
#include <thread>
#include <uvreap/process.hpp>
#include <uvreap/reaper.hpp>

#include "../shared/output.hpp"
#include "../shared/thread_pool.hpp"
#include "report.hpp"
#include "settings.hpp"

namespace {

using std::chrono::nanoseconds;

nanoseconds now() { return nanoseconds(uv_hrtime()); }

void complain(int error, const char* what) {
  std::fprintf(stderr, "uvreap-demo: cannot %s: %s\n", what, uv_strerror(error));
}

class demo {
 public:
  demo(uv_loop_t&, const settings&);
  int run();  // the exit status

 private:
  void show_copied_memory();
  void start_children();
  void on_turn();
  void fork_one();
  void on_end(const uvreap::child_exit&, nanoseconds wall);
  void on_signal(int signum);
  void end_children(int signum);
  void finish_if_done();
  bool held(int error, const char* what);

  uv_loop_t& loop_;
  settings settings_;
  output output_;
  std::unique_ptr<report> report_;
  uvreap::reaper reaper_;
  uv_timer_t turn_{};
  uv_signal_t interrupt_{};
  uv_signal_t terminate_{};

  // Multi, since a number is free once its child is collected, and that is a poll before it is told.
  std::multiset<pid_t> living_;
  int forked_ = 0;
  int ended_ = 0;
  bool ending_ = false;  // nothing new is begun
  bool finished_ = false;
  int exit_status_ = 0;

  report::summary summary_;
  nanoseconds began_{0};
  nanoseconds last_turn_{0};
};

demo::demo(uv_loop_t& loop, const settings& settings)
    : loop_(loop),
      settings_(settings),
      output_(loop, [this](int error) { (void)held(error, "write to stdout"); }),
      report_(settings.json ? make_json_report(output_) : make_text_report(output_)),
      reaper_(loop) {
  uv_timer_init(&loop_, &turn_);  // these three cannot fail: the loop has made a signal handle for itself
  uv_signal_init(&loop_, &interrupt_);
  uv_signal_init(&loop_, &terminate_);
  turn_.data = interrupt_.data = terminate_.data = this;
}

int demo::run() {
  auto on_signal = [](uv_signal_t* handle, int signum) {
    static_cast<demo*>(handle->data)->on_signal(signum);
  };
  if (held(uv_signal_start(&interrupt_, on_signal, SIGINT), "listen to SIGINT") &&
      held(uv_signal_start(&terminate_, on_signal, SIGTERM), "listen to SIGTERM") &&
      held(reaper_.start(), "start the reaper")) {
    show_copied_memory();
  }
  uv_run(&loop_, UV_RUN_DEFAULT);
  return exit_status_;
}

// ---- the first experiment -----------------------------------------------------------------------

void demo::show_copied_memory() {
  int a = 0;
  pid_t pid = 0;
  if (!held(uvreap::fork(&pid), "fork")) return;
  if (pid == 0) {
    a = 2;
    report_->in_child(pid, a);
    ::_exit(0);
  }
  auto told = [this, a](const uvreap::child_exit& exit) {
    living_.erase(living_.find(exit.pid));
    report_->in_parent(exit.pid, a);
    if (ending_) return finish_if_done();
    start_children();
  };
  if (held(reaper_.watch(pid, told), "watch the child")) living_.insert(pid);
}

// ---- the second experiment ----------------------------------------------------------------------

void demo::start_children() {
  report_->begin(settings_.children, settings_.seconds);
  began_ = last_turn_ = now();
  auto on_turn = [](uv_timer_t* timer) { static_cast<demo*>(timer->data)->on_turn(); };
  (void)held(uv_timer_start(&turn_, on_turn, 0, 1), "start the timer");
}

void demo::on_turn() {
  nanoseconds time = now();
  summary_.longest_gap = std::max(summary_.longest_gap, time - last_turn_);
  last_turn_ = time;
  ++summary_.sum;
  if (summary_.sum % 64 == 0) report_->working(summary_.sum, settings_.children - ended_);
  // One a turn: a thousand forks in a row would hold the loop for as long as they take.
  if (forked_ < settings_.children && !ending_) fork_one();
}

void demo::fork_one() {
  auto share = std::chrono::duration<double>(settings_.seconds * (forked_ + 1) / settings_.children);
  auto sleep = std::chrono::duration_cast<nanoseconds>(share);
  auto child_main = [sleep] {
    // A terminal sends Ctrl-C to the children too: they could all be gone before we heard of it.
    ::signal(SIGINT, SIG_IGN);
    std::this_thread::sleep_for(sleep);
    return 0;
  };
  auto told = [this, start = now()](const uvreap::child_exit& exit) { on_end(exit, now() - start); };

  pid_t pid = 0;
  if (!held(reaper_.fork(&pid, child_main, told), "fork")) return;
  ++forked_;
  living_.insert(pid);
  report_->forked(pid, sleep);
}

void demo::on_end(const uvreap::child_exit& exit, nanoseconds wall) {
  living_.erase(living_.find(exit.pid));
  ++ended_;
  report_->ended(exit, wall);
  finish_if_done();
}

// ---- the end ------------------------------------------------------------------------------------

void demo::on_signal(int signum) {
  bool again = ending_;
  if (exit_status_ == 0) exit_status_ = 128 + signum;  // as a shell says it
  report_->interrupted(signum, static_cast<int>(living_.size()));
  end_children(again ? SIGKILL : SIGTERM);
}

void demo::end_children(int signum) {
  ending_ = true;
  for (pid_t pid : living_) {
    for (int send : {signum, SIGCONT}) {  // a stopped child does not see SIGTERM
      int error = reaper_.kill(pid, send);
      if (error != 0 && error != UV_ESRCH) complain(error, "kill a child");  // UV_ESRCH: it has just ended
    }
  }
  finish_if_done();
}

void demo::finish_if_done() {
  bool all_ended = ended_ == settings_.children || ending_;
  if (!all_ended || !living_.empty() || finished_) return;
  finished_ = true;
  if (began_ != nanoseconds(0)) summary_.elapsed = now() - began_;
  summary_.reaper = reaper_.stats();
  report_->end(summary_);
  if (int error = reaper_.close(); error != 0) complain(error, "close the reaper");
  // From here on Ctrl-C does what it does by default, should the reader of our output never read the rest.
  uv_close(reinterpret_cast<uv_handle_t*>(&interrupt_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&terminate_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&turn_), nullptr);
}

// Without an error, true. With one, it is said, and everything ends.
bool demo::held(int error, const char* what) {
  if (error == 0) return true;
  complain(error, what);
  if (exit_status_ == 0) exit_status_ = 1;
  end_children(SIGTERM);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  settings settings;
  if (auto exit_status = settings.read(argc, argv)) return *exit_status;
  if (!output::prepare()) return 1;

  uv_loop_t loop;
  if (int error = uv_loop_init(&loop); error != 0) {
    complain(error, "make a loop");
    return 1;
  }
  if (int error = start_thread_pool(loop); error != 0) {
    complain(error, "make threads");
    return 1;
  }
  int exit_status = demo(loop, settings).run();
  return uv_loop_close(&loop) == 0 ? exit_status : 1;
}
