// The jobs that run, the eldest first: their timeouts, and the signals that reach all of them.
//
// A job is here from its begin until all that it wrote was said. Its clock rests while the jobs are stopped
// (Ctrl-Z), and so do their timeouts.
#pragma once

#include <uv.h>

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <uvreap/reaper.hpp>
#include <vector>

#include "job.hpp"
#include "job_output.hpp"
#include "run_report.hpp"

struct attempt;
using timeouts = std::multimap<std::chrono::nanoseconds, attempt*>;  // by the jobs' clock

// At a job, the first or a later one.
struct attempt {
  job what;
  int number = 1;
  pid_t pid = 0;
  std::chrono::nanoseconds began{0};
  std::chrono::system_clock::time_point time_of_begin{};
  bool has_ended = false;  // and may still be being said
  bool has_timed_out = false;
  bool is_cut_off = false;  // see job_end
  std::optional<timeouts::iterator> timeout{};
  job_end end{};
  std::unique_ptr<job_output> output{};
};

class running_jobs {
 public:
  using place = std::list<attempt>::iterator;
  struct plan {
    std::chrono::milliseconds grace;
    // One that shares our process group and our terminal; each of others leads a group of its own.
    bool is_one_command;
    bool ends_all;  // such a one, and what it began, too, when its time is over
    std::function<void(const attempt&, int error)> not_ended;  // UV_E*: it could not be signalled
  };

  running_jobs(uv_loop_t&, uvreap::reaper&, plan);
  running_jobs(const running_jobs&) = delete;
  running_jobs& operator=(const running_jobs&) = delete;
  void close();

  [[nodiscard]] place add(attempt);
  [[nodiscard]] attempt remove(place);
  [[nodiscard]] std::size_t size() const { return all_.size(); }
  [[nodiscard]] bool empty() const { return all_.empty(); }

  void end_after(place, std::chrono::milliseconds);
  void ended(place, const uvreap::wait_status&);
  void end_all();  // SIGTERM, and SIGKILL when their grace is over
  void kill_all(int signum);
  // Stops them, calls what stops us, and lets them go on when that returns.
  void stop_with(const std::function<void()>& stop_ourselves);

  [[nodiscard]] std::vector<running_job> eldest() const;

 private:
  [[nodiscard]] std::chrono::nanoseconds clock() const;
  void forget_timeout(attempt&);
  void watch_timeouts();
  void on_timeout();
  void end(attempt&);
  void end_with_descendants(attempt&);

  uv_loop_t& loop_;
  uvreap::reaper& reaper_;
  plan plan_;
  std::list<attempt> all_;
  timeouts timeouts_;
  uv_timer_t timer_{};  // of the first of them
  std::chrono::nanoseconds rested_{0};
  std::vector<pid_t> before_us_;  // children that the program had that became us
};
