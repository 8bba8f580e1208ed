// The life of uvreap init: the child runs, what it left is ended, what there is to say is written.
#pragma once

#include <uv.h>

#include <string>
#include <uvreap/reaper.hpp>

#include "init_report.hpp"
#include "init_settings.hpp"
#include "init_signals.hpp"
#include "init_terminal.hpp"
#include "init_writer.hpp"

namespace pid1 {

class supervisor {
 public:
  // stats: where they are written to; -1: nowhere.
  supervisor(uv_loop_t&, const settings&, const inherited_signals&, int stats);
  int run();  // the exit status

 private:
  [[nodiscard]] int start();
  [[nodiscard]] int become_command() const;  // in the child

  void on_signal(int signum);
  void forward(int signum);
  void on_change(const uvreap::child_change&);
  void on_orphan(const uvreap::child_exit&);

  void on_end(const uvreap::child_exit&);
  void on_tick();
  [[nodiscard]] bool all_told() const;
  void finish();
  void close_if_written();
  void close();

  void say(const std::string&);

  uv_loop_t& loop_;
  const settings& settings_;
  const inherited_signals& inherited_;
  terminal terminal_;
  uvreap::reaper reaper_;
  signal_feed signals_;
  writer errors_;
  writer stats_;
  uv_timer_t timer_{};

  enum class phase { running, ending, writing, closed };
  phase phase_ = phase::running;
  pid_t child_ = 0;
  std::uint64_t began_ns_ = 0;
  std::uint64_t grace_over_ns_ = 0;
  int exit_status_ = own_error;
  bool has_stats_;
  report report_;
};

}  // namespace pid1
