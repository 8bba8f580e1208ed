#include "metrics.hpp"

#include <microhttpd.h>
#include <sqlite3.h>

#include <sstream>

#include "../shared/printed.hpp"
#include "process_figures.hpp"
#include "version.hpp"

namespace {

class page {
 public:
  // Begins a family; its samples follow.
  page& family(const char* name, const char* type, const char* help) {
    name_ = name;
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
  page.family("jobserver_job_wall_seconds", "histogram", "From a job's start to its end being told.");
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
  page.gauge("jobserver_jobs_running", jobs.running(), "Jobs that run.");
  page.gauge("jobserver_jobs_queued", jobs.queued(), "Jobs that wait.");
  page.gauge("jobserver_jobs_kept", jobs.kept().kept(), "Jobs that have ended and can still be asked for.");
  page.gauge("jobserver_jobs_kept_bytes", jobs.kept().kept_bytes(), "What is kept of those.");
  page.counter("jobserver_jobs_started_total", counted.started, "Jobs started.");
  page.counter("jobserver_jobs_not_started_total", counted.not_started,
               "Jobs whose command could not be started.");
  page.counter("jobserver_jobs_canceled_total", counted.canceled, "Jobs that were ended while they waited.");
  page.counter("jobserver_jobs_not_written_total", counted.not_stored,
               "What of a job could not be written down.");
  page.family("jobserver_jobs_ended_total", "counter", "Jobs by how they ended.")
      .sample(counted.succeeded, label("how", "exit_0"))
      .sample(counted.failed, label("how", "exit_other"))
      .sample(counted.signaled, label("how", "signal"))
      .sample(counted.lost, label("how", "lost"));
  page.counter("jobserver_jobs_timed_out_total", counted.timed_out, "Jobs that their timeout ended.");
  add_wall_times(page, counted);
}

void add_reaper(page& page, const uvreap::statistics& stats) {
  page.gauge("jobserver_reaper_watched", stats.watched, "Children that the reaper watches.");
  page.family("jobserver_reaper_on_rung", "gauge", "Watched children by how their end is learnt of.")
      .sample(stats.on_ring, label("rung", "ring"))
      .sample(stats.on_pidfd, label("rung", "pidfd"))
      .sample(stats.on_peek, label("rung", "peek"));
  page.counter("jobserver_reaper_reaped_total", stats.reaped, "Children reaped.");
  page.counter("jobserver_reaper_orphans_total", stats.unclaimed,
               "Children reaped that no job had: as PID 1 or subreaper.");
  page.counter("jobserver_reaper_lost_total", stats.lost, "Children whose status somebody else took.");
  page.counter("jobserver_reaper_sweeps_total", stats.sweeps, "Sweeps over the children.");
  page.counter("jobserver_reaper_budget_spent_turns_total", stats.budget_spent_turns,
               "Passes that left work for the loop's next turn.");
  page.gauge("jobserver_reaper_longest_pass_seconds", seconds_of(stats.longest_sweep),
             "CPU time of the longest pass.");
  page.family("jobserver_reaper_heard_total", "counter", "What said first that a child had ended.")
      .sample(stats.wakeups_by_sigchld, label("by", "sigchld"))
      .sample(stats.wakeups_by_backend, label("by", "backend"))
      .sample(stats.wakeups_by_poller, label("by", "poller"));
  page.counter("jobserver_reaper_missed_total", stats.missed, "Ends that only the poller found.");
  page.gauge("jobserver_reaper_sigchld_healthy", stats.sigchld == uvreap::sigchld_health::healthy ? 1 : 0,
             "1: SIGCHLD is heard.");
}

void add_web(page& page, const measured& all) {
  const auto& counted = all.web.counted();
  page.gauge("jobserver_clients", all.web.clients(), "Connections.");
  page.gauge("jobserver_event_clients", all.told.listeners(), "Clients that listen to events.");
  page.counter("jobserver_clients_refused_total", counted.refused_clients, "Connections above the limit.");
  page.counter("jobserver_events_dropped_total", all.told.dropped(),
               "Events that a client read too slowly for.");
  page.counter("jobserver_log_lines_dropped_total", all.log.dropped(), "Lines of the log that nobody read.");
  page.family("jobserver_answers_total", "counter", "Answers by status.");
  for (const auto& [status, count] : counted.answers)
    page.sample(count, label("code", std::to_string(status)));
}

void add_build(page& page) {
  page.family("jobserver_build_info", "gauge", "1, with the versions that this is made of.")
      .sample(1, std::string("{version=\"") + version + "\",libuv=\"" + uv_version_string() +
                     "\",libmicrohttpd=\"" + MHD_get_version() + "\",sqlite=\"" + sqlite3_libversion() +
                     "\"}");
}

// The names that Prometheus's client libraries give these.
void add_process(page& page) {
  process_figures figures = process_figures::now();
  page.counter("process_cpu_seconds_total", figures.cpu_seconds, "User and system CPU time, in seconds.");
  page.gauge("process_open_fds", figures.open_descriptors, "Open descriptors.");
  page.gauge("process_max_fds", figures.most_descriptors, "The limit of those.");
  page.gauge("process_virtual_memory_bytes", figures.virtual_bytes, "Virtual memory.");
  page.gauge("process_resident_memory_bytes", figures.resident_bytes, "Resident memory.");
  page.gauge("process_start_time_seconds", figures.start_seconds,
             "When it was started, in seconds since 1970.");
}

}  // namespace

std::string metrics_of(const measured& all) {
  page page;
  add_jobs(page, all.all_jobs);
  add_reaper(page, all.their_children.stats());
  add_web(page, all);
  page.gauge("jobserver_loop_worst_lateness_seconds", seconds_of(all.late.worst()),
             "The latest that a timer of the loop was.");
  add_build(page);
  add_process(page);
  return page.text();
}
