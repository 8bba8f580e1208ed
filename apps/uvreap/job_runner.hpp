// Runs jobs, so many at once: takes them from the list as places get free, tries failed ones again, and stops
// where the settings say so.
//
// The place of a job is free when it has ended and its output is complete; it is among the running ones until
// all of that was said, too.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <uvreap/reaper.hpp>

#include "job.hpp"
#include "job_command.hpp"
#include "job_log.hpp"
#include "job_outputs.hpp"
#include "jobs_ahead.hpp"
#include "run_outcome.hpp"
#include "run_report.hpp"
#include "run_settings.hpp"
#include "run_signals.hpp"
#include "running_jobs.hpp"
#include "throttle.hpp"

class job_runner {
 public:
  job_runner(uv_loop_t&, const run_settings&, console&, run_report&);

  void start();
  void fail(const std::string& what);  // an error of our own: said, and everything ends

  [[nodiscard]] int exit_status() const;
  [[nodiscard]] int deadly_signal() const { return outcome_.deadly_signal(); }

 private:
  using place = running_jobs::place;

  void go_on();
  void fill();
  void fill_later(std::uint64_t in_ms);
  [[nodiscard]] bool may_begin();
  [[nodiscard]] std::optional<attempt> next();
  [[nodiscard]] bool begin(attempt);  // false: not now
  [[nodiscard]] int spawn(place, job_command&);
  void complete(uvreap::command&, bool has_input) const;
  void wait_for_room(const std::string& lack);

  void on_exit(place, const uvreap::child_exit&);
  void on_complete(place);
  void on_said(place);
  [[nodiscard]] bool is_done_before(const job&);
  void settle(const job_end&);
  void write_log();
  void stop_if_due();
  void finish_if_done();

  void on_signal(int signum);
  void hand_on(int signum);
  void leave_unread();
  void stop_with_jobs();

  void show_progress();
  void show_progress_later(std::uint64_t in_ms);
  [[nodiscard]] run_totals totals() const;
  [[nodiscard]] bool is_one_command() const { return settings_.is_one_command(); }

  uv_loop_t& loop_;
  const run_settings& settings_;
  console& console_;
  run_report& report_;
  uvreap::reaper reaper_;
  run_signals signals_;
  running_jobs running_;
  job_outputs outputs_;
  jobs_ahead jobs_;
  job_log log_;
  throttle throttle_;
  uv_timer_t again_{};  // to fill() later
  uv_timer_t progress_{};
  std::uint64_t progress_every_ms_ = 0;

  std::list<attempt> waiting_;  // to be tried again, or for a descriptor
  std::size_t active_ = 0;      // of those that run: not complete
  std::chrono::nanoseconds began_{0};
  std::optional<std::chrono::nanoseconds> lack_began_;  // of room for any job at all
  run_outcome outcome_;
  bool stopping_ = false;  // nothing new begins
  bool finished_ = false;
};
