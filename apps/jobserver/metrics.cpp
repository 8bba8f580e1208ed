#include "metrics.hpp"

#include <sstream>

#include "../shared/printed.hpp"

namespace {

class page {
 public:
  // Begins a family; its samples follow.
  page& family(const char* name, const char* type, const char* help) {
    name_ = std::string("jobserver_") + name;
    text_ << "# HELP " << name_ << ' ' << help << "\n# TYPE " << name_ << ' ' << type << '\n';
    return *this;
  }
  template <class Value>
  page& sample(Value value, const std::string& labels = "", const char* suffix = "") {
    text_ << name_ << suffix << labels << ' ' << value << '\n';
    return *this;
  }
  template <class Value>
  void gauge(const char* name, Value value, const char* help) {
    family(name, "gauge", help).sample(value);
  }
  template <class Value>
  void counter(const char* name, Value value, const char* help) {
    family(name, "counter", help).sample(value);
  }
  [[nodiscard]] std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::string name_;
};

std::string label(const char* name, const std::string& value) {
  return std::string("{") + name + "=\"" + value + "\"}";
}

double seconds_of(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

void add_wall_times(page& page, const jobs::counters& counted) {
  page.family("job_wall_seconds", "histogram", "From a job's start to its end being told.");
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < counted.wall.size(); ++i) {
    sum += counted.wall[i];
    bool has_end = i < jobs::counters::wall_classes.size();
    page.sample(sum, label("le", has_end ? streamed(jobs::counters::wall_classes[i]) : "+Inf"), "_bucket");
  }
  page.sample(counted.wall_seconds, "", "_sum").sample(sum, "", "_count");
}

void add_jobs(page& page, const jobs& jobs) {
  const auto& counted = jobs.counted();
  page.gauge("jobs_running", jobs.running(), "Jobs that run.");
  page.gauge("jobs_kept", jobs.kept(), "Jobs that have ended and can still be asked for.");
  page.gauge("jobs_kept_bytes", jobs.memory(), "Memory of those.");
  page.counter("jobs_started_total", counted.started, "Jobs started.");
  page.counter("jobs_not_started_total", counted.not_started, "Jobs whose command could not be started.");
  page.family("jobs_ended_total", "counter", "Jobs by how they ended.")
      .sample(counted.succeeded, label("how", "exit_0"))
      .sample(counted.failed, label("how", "exit_other"))
      .sample(counted.signaled, label("how", "signal"))
      .sample(counted.lost, label("how", "lost"));
  page.counter("jobs_timed_out_total", counted.timed_out, "Jobs that their timeout ended.");
  add_wall_times(page, counted);
}

void add_reaper(page& page, const uvreap::statistics& stats) {
  page.gauge("reaper_watched", stats.watched, "Children that the reaper watches.");
  page.family("reaper_on_rung", "gauge", "Watched children by how their end is learnt of.")
      .sample(stats.on_ring, label("rung", "ring"))
      .sample(stats.on_pidfd, label("rung", "pidfd"))
      .sample(stats.on_peek, label("rung", "peek"));
  page.counter("reaper_reaped_total", stats.reaped, "Children reaped.");
  page.counter("reaper_lost_total", stats.lost, "Children whose status somebody else took.");
  page.counter("reaper_sweeps_total", stats.sweeps, "Sweeps over the children.");
  page.counter("reaper_budget_spent_turns_total", stats.budget_spent_turns,
               "Passes that left work for the loop's next turn.");
  page.gauge("reaper_longest_pass_seconds", seconds_of(stats.longest_sweep), "CPU time of the longest pass.");
  page.family("reaper_heard_total", "counter", "What said first that a child had ended.")
      .sample(stats.wakeups_by_sigchld, label("by", "sigchld"))
      .sample(stats.wakeups_by_backend, label("by", "backend"))
      .sample(stats.wakeups_by_poller, label("by", "poller"));
  page.counter("reaper_missed_total", stats.missed, "Ends that only the poller found.");
  page.gauge("reaper_sigchld_healthy", stats.sigchld == uvreap::sigchld_health::healthy ? 1 : 0,
             "1: SIGCHLD is heard.");
}

void add_web(page& page, const web_server& web) {
  page.gauge("clients", web.clients(), "Connections.");
  page.gauge("event_clients", web.listeners(), "Connections that are WebSockets.");
  page.counter("clients_refused_total", web.counted().refused_clients, "Connections above the limit.");
  page.counter("events_dropped_total", web.counted().dropped_events,
               "Events that a WebSocket read too slowly for.");
  page.family("answers_total", "counter", "Answers by status.");
  for (const auto& [status, count] : web.counted().answers)
    page.sample(count, label("code", std::to_string(status)));
}

}  // namespace

std::string metrics_of(const jobs& jobs, const children& children, const web_server& web,
                       const lateness& late) {
  page page;
  add_jobs(page, jobs);
  add_reaper(page, children.stats());
  add_web(page, web);
  page.gauge("loop_worst_lateness_seconds", seconds_of(late.worst()),
             "The latest that a timer of the loop was.");
  return page.text();
}
