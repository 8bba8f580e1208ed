#include <uv.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <tuple>

#include "../shared/printed.hpp"
#include "run_report.hpp"

namespace {

using json = nlohmann::ordered_json;

// In UTC, by RFC 3339: "2026-11-29T05:55:57.123456Z".
std::string time_text(std::chrono::system_clock::time_point time) {
  auto since = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  auto seconds = static_cast<std::time_t>(since / 1'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return print("%s.%06lldZ", text, static_cast<long long>(since % 1'000'000));
}

class json_report : public run_report {
 public:
  json_report(console& console, bool on_stderr) : console_(console), on_stderr_(on_stderr) {}

  void started(const job& job, int attempt, pid_t pid) override {
    json event = about("start", job);
    event["time"] = time_text(std::chrono::system_clock::now());
    event["attempt"] = attempt;
    event["pid"] = pid;
    event["argv"] = job.argv;
    say(event);
  }

  void wrote(const job& job, stream from, std::string_view text) override {
    json event = about("output", job);
    event["stream"] = from == stream::out ? "stdout" : "stderr";
    event["text"] = text;
    say(event);
  }

  void noted(const job& job, const std::string& what) override {
    json event = about("note", job);
    event["text"] = what;
    say(event);
  }

  void ended(const job& job, const job_end& end) override {
    json event = about("end", job);
    event["attempt"] = end.attempt;
    event["failed"] = end.failed();
    event["tried_again"] = end.tried_again;
    if (end.error != 0) {
      event["error"] = end.text();
      return say(event);
    }
    const auto& [status, usage] = std::tie(end.exit.status, end.exit.usage);
    event["pid"] = end.pid;
    event["started"] = time_text(end.began);
    event["time"] = time_text(end.began + std::chrono::duration_cast<std::chrono::microseconds>(end.wall));
    event["exit_code"] = status.exited() ? json(status.exit_code()) : json();
    event["signal"] = status.signaled() ? json(signal_name(status.term_signal())) : json();
    event["core_dumped"] = status.core_dumped();
    event["timed_out"] = end.exit.timed_out;
    event["lost"] = end.exit.lost;
    event["output_error"] = end.output_error != 0 ? json(uv_strerror(end.output_error)) : json();
    event["wall_us"] = microseconds_of(end.wall);
    event["user_us"] = usage.user_time.count();
    event["system_us"] = usage.system_time.count();
    event["max_rss_bytes"] = usage.max_rss_bytes;
    say(event);
  }

  void complained(const std::string& what) override {
    console_.say("uvreap run: " + what + '\n');
    say({{"event", "error"}, {"text", what}});
  }

  void interrupted(const std::string& signal, int running) override {
    say({{"event", "interrupted"}, {"signal", signal}, {"running", running}});
  }

  void working(const run_totals&) override {}

  void finished(const run_totals& totals) override {
    say({{"event", "summary"},
         {"jobs", totals.done + totals.failed},
         {"failed", totals.failed},
         {"retries", totals.retries},
         {"skipped", totals.skipped},
         {"not_run", totals.not_run},
         {"not_run_is_all", totals.knows_not_run},
         {"list_errors", totals.list_errors},
         {"wall_us", microseconds_of(totals.wall)},
         {"reaped", totals.reaper.reaped},
         {"lost", totals.reaper.lost},
         {"backend", streamed(totals.reaper.backend)}});
  }

 private:
  static json about(const char* event, const job& job) {
    return {{"event", event}, {"job", job.number}, {"name", job.name}};
  }

  // What is no UTF-8 (a piece of output may be anything) is replaced, not refused.
  void say(const json& event) {
    std::string line = event.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
    on_stderr_ ? console_.say(line) : console_.out(line);
  }

  console& console_;
  bool on_stderr_;  // standard output is a command's
};

}  // namespace

std::unique_ptr<run_report> make_json_run_report(console& console, bool on_stderr) {
  return std::make_unique<json_report>(console, on_stderr);
}
