// The life of init: the child runs, what it left is ended, what there is to say is written.
#pragma once

#include <uv.h>

#include <string>
#include <uvreap/reaper.hpp>

#include "command.hpp"
#include "report.hpp"
#include "settings.hpp"
#include "signals.hpp"
#include "terminal.hpp"
#include "writer.hpp"

namespace pid1 {

class supervisor {
 public:
  // Without a command (pid 0) it ends at SIGTERM. stats: where they are written to; -1: nowhere.
  supervisor(uv_loop_t&, const settings&, const running_command&, terminal&, writer& errors, int stats);
  // The exit status. The process is to end then: nothing is taken apart that the kernel does.
  int run();

 private:
  [[nodiscard]] uvreap::options options();
  [[nodiscard]] bool tells_of_orphans() const { return settings_.warns || stats_ >= 0; }
  [[nodiscard]] int start();

  void on_signal(int signum);
  void hand_on(int signum);
  void on_change(const uvreap::child_change&);
  void on_orphan(const uvreap::child_exit&);

  void on_exit(const uvreap::child_exit&);
  void end();
  static void call_on_tick(uv_timer_t*);
  void on_tick();
  [[nodiscard]] bool send_to_leftovers(int signum) const;
  [[nodiscard]] bool all_told() const;
  void finish();
  void write_stats();

  [[nodiscard]] int complain(int error, const char* what) const;
  void tell(const std::string&) const;  // with -v

  uv_loop_t& loop_;
  const settings& settings_;
  pid_t child_;
  std::uint64_t began_ns_;
  terminal& terminal_;
  writer& errors_;
  int stats_;
  uvreap::reaper reaper_;
  waiting_signals signals_;
  uv_timer_t timer_{};

  enum class phase { running, ending, over };
  phase phase_ = phase::running;
  std::uint64_t grace_over_ns_ = 0;
  int exit_status_;
  report report_;
};

}  // namespace pid1
