// Runs jobs, so many at once: takes them from the list as places get free, tries failed ones again, and stops
// where the settings say so.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <uvreap/reaper.hpp>

#include "job.hpp"
#include "job_command.hpp"
#include "job_list.hpp"
#include "job_outputs.hpp"
#include "run_report.hpp"
#include "run_settings.hpp"

class job_runner {
 public:
  job_runner(uv_loop_t&, const run_settings&, console&, run_report&);

  void start();
  void end_all(int signum);            // TERM, grace, KILL; a second time: KILL
  void fail(const std::string& what);  // an error of our own: said, and everything ends

  [[nodiscard]] int exit_status() const;

 private:
  struct attempt {
    job what;
    int number = 1;
    pid_t pid = 0;
    std::chrono::nanoseconds began{0};
    bool has_ended = false;  // and is still being printed
    std::unique_ptr<job_output> output{};
  };
  using place = std::list<attempt>::iterator;

  void go_on();
  void fill();
  [[nodiscard]] std::optional<attempt> next();
  [[nodiscard]] std::optional<attempt> next_of_list();
  [[nodiscard]] bool begin(attempt);  // false: not now
  void on_exit(place, const uvreap::child_exit&);
  void settle(const job&, const job_end&);
  void count_failure();
  void terminate_all();
  void kill_all();
  void finish_if_done();
  void show_progress();
  [[nodiscard]] run_totals totals() const;
  void complete(uvreap::command&, bool has_input) const;
  void wait_for_room(const std::string& lack);

  uv_loop_t& loop_;
  const run_settings& settings_;
  console& console_;
  run_report& report_;
  uvreap::reaper reaper_;
  job_outputs outputs_;
  std::unique_ptr<job_list> list_;
  uv_timer_t again_{};  // more places than a turn may fill, or there was no room
  uv_timer_t progress_{};
  uv_signal_t interrupts_[3]{};

  std::list<attempt> running_;  // the eldest first
  std::list<attempt> waiting_;  // to be tried again, or for a descriptor
  std::chrono::nanoseconds began_{0};
  std::optional<std::chrono::nanoseconds> lack_began_;  // of room for any job at all
  run_totals counts_;
  bool stopping_ = false;  // nothing new begins
  bool finished_ = false;
  bool own_error_ = false;
  int interrupted_by_ = 0;
  std::optional<int> status_of_one_;  // of a single command
};
