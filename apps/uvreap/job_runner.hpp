// Runs jobs, so many at once: takes them from the list as places get free, tries failed ones again, and stops
// where the settings say so.
//
// A job that is run is in running_ from its begin until all that it wrote was said; its place is free when it
// has ended and its output is complete.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <uvreap/reaper.hpp>

#include "job.hpp"
#include "job_command.hpp"
#include "job_log.hpp"
#include "job_outputs.hpp"
#include "jobs_ahead.hpp"
#include "run_report.hpp"
#include "run_settings.hpp"
#include "run_signals.hpp"
#include "throttle.hpp"

class job_runner {
 public:
  job_runner(uv_loop_t&, const run_settings&, console&, run_report&);

  void start();
  void fail(const std::string& what);  // an error of our own: said, and everything ends

  [[nodiscard]] int exit_status() const;
  [[nodiscard]] int deadly_signal() const;  // that the run ended by; 0: none

 private:
  struct attempt;
  using place = std::list<attempt>::iterator;
  using deadlines = std::multimap<std::chrono::nanoseconds, place>;  // by the jobs' clock

  struct attempt {
    job what;
    int number = 1;
    pid_t pid = 0;
    std::chrono::nanoseconds began{0};
    std::chrono::system_clock::time_point time_of_begin{};
    bool has_ended = false;  // and may still be being said
    bool has_timed_out = false;
    bool is_cut_off = false;  // see job_end
    std::optional<deadlines::iterator> deadline{};
    job_end end{};
    std::unique_ptr<job_output> output{};
  };

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
  void settle(const job&, const job_end&);
  void stop_if_due();
  void finish_if_done();

  void set_deadline(place);
  void drop_deadline(place);
  void watch_deadlines();
  void on_deadline();

  void on_signal(int signum);
  void hand_on(int signum);
  void stop_with_jobs();
  void end_one(attempt&);
  void end_all();
  void kill_all(int signum);

  void show_progress();
  void show_progress_later(std::uint64_t in_ms);
  [[nodiscard]] std::vector<running_job> eldest() const;
  [[nodiscard]] run_totals totals() const;
  [[nodiscard]] bool is_one_command() const { return settings_.is_one_command(); }

  // It rests while the jobs are stopped, and so do their timeouts.
  [[nodiscard]] std::chrono::nanoseconds job_clock() const;

  uv_loop_t& loop_;
  const run_settings& settings_;
  console& console_;
  run_report& report_;
  uvreap::reaper reaper_;
  run_signals signals_;
  job_outputs outputs_;
  jobs_ahead jobs_;
  job_log log_;
  throttle throttle_;
  uv_timer_t again_{};  // to fill() later
  uv_timer_t deadline_timer_{};
  uv_timer_t progress_{};
  std::uint64_t progress_every_ms_ = 0;

  std::list<attempt> running_;  // the eldest first
  std::list<attempt> waiting_;  // to be tried again, or for a descriptor
  std::size_t active_ = 0;      // of those that run: not complete
  deadlines deadlines_;
  std::chrono::nanoseconds began_{0};
  std::chrono::nanoseconds rested_{0};
  std::optional<std::chrono::nanoseconds> lack_began_;  // of room for any job at all
  run_totals counts_;
  bool stopping_ = false;  // nothing new begins
  bool finished_ = false;
  bool own_error_ = false;
  bool is_halted_by_success_ = false;
  int interrupted_by_ = 0;
  std::optional<int> status_of_one_;  // of a single command
  int signal_of_one_ = 0;
};
