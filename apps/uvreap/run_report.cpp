#include "run_report.hpp"

#include <utility>

#include "../shared/printed.hpp"
#include "../shared/visible_text.hpp"
#include "job_table.hpp"
#include "live_line.hpp"
#include "measures.hpp"

namespace {

std::string count_of(std::uint64_t number, const char* one, const char* more) {
  return std::to_string(number) + ' ' + (number == 1 ? one : more);
}

class text_report : public run_report {
 public:
  text_report(console& console, const run_settings& settings)
      : console_(console),
        settings_(settings),
        table_(settings.sort.value_or(sort_key::wall), static_cast<std::size_t>(settings.rows)),
        has_table_(!settings.quiet && (settings.sort.has_value() || console.has_live_line())) {}

  void started(const job&, int, pid_t) override {}

  void wrote(const job&, stream to, std::string_view text) override {
    to == stream::out ? console_.out(text) : console_.err(text);
  }

  void noted(const job& job, const std::string& what) override { say(who(job) + ": " + what); }

  void ended(const job& job, const job_end& end) override {
    if (!end.tried_again && has_table_) table_.add(job, end);
    bool is_worth_saying = end.failed() || !console_.has_live_line();
    if (end.error == 0 && (settings_.quiet || !is_worth_saying)) return;
    std::string line = who(job) + ' ' + end.text();
    if (end.error == 0) {
      line += ", wall " + text_of(end.wall) + ", user " + text_of(end.exit.usage.user_time) + ", system " +
              text_of(end.exit.usage.system_time) + ", max RSS " + size_text(end.exit.usage.max_rss_bytes);
    }
    say(line + (end.tried_again ? "; tried again" : ""));
  }

  void complained(const std::string& what) override { say("uvreap run: " + what); }

  void interrupted(const std::string& signal, int running) override {
    say("uvreap run: " + signal + ", ending " + count_of(static_cast<std::uint64_t>(running), "job", "jobs") +
        "; a second one kills at once");
  }

  void working(const run_totals& now) override {
    if (settings_.quiet) return;
    if (!console_.has_live_line()) return say("uvreap run: " + progress_text(now));
    auto columns = static_cast<std::size_t>(console_.columns()) - 1;  // in the last one some would go on
    console_.live(live_line(now, columns, console_.has_colours()));
  }

  void finished(const run_totals& totals) override {
    console_.live({});
    if (settings_.quiet) return;
    if (has_table_) console_.say(table_.text());
    std::string line = count_of(totals.done + totals.failed, "job", "jobs") + ", " +
                       std::to_string(totals.failed) + " failed";
    if (totals.list_errors != 0)
      line += ", " + count_of(totals.list_errors, "part of the list", "parts of the list") + " wrong";
    if (totals.skipped != 0) line += ", " + std::to_string(totals.skipped) + " done before";
    if (totals.not_run != 0 || !totals.knows_not_run)
      line += ", " + std::to_string(totals.not_run) + (totals.knows_not_run ? "" : " or more") + " not run";
    if (totals.retries != 0) line += ", " + count_of(totals.retries, "retry", "retries");
    say(line + ", " + text_of(totals.wall));
  }

 private:
  static std::string who(const job& job) {
    return '#' + std::to_string(job.number) + ' ' + visible_text(job.name);
  }
  void say(const std::string& line) { console_.say(line + '\n'); }

  console& console_;
  const run_settings& settings_;
  job_table table_;
  bool has_table_;
};

}  // namespace

std::string job_end::text() const {
  if (error != 0) return "cannot be run: " + reason;
  std::string said = exit.lost ? "was waited for by somebody else" : exit.status.text();
  if (exit.timed_out) said += " after its timeout";
  if (output_error != 0) said += std::string(", its output is not all there: ") + uv_strerror(output_error);
  return said;
}

std::unique_ptr<run_report> make_text_run_report(console& console, const run_settings& settings) {
  return std::make_unique<text_report>(console, settings);
}
