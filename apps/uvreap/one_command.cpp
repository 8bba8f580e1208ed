// What uvreap run says of a single command: everything that the kernel told.
#include "../shared/printed.hpp"
#include "../shared/visible_text.hpp"
#include "measures.hpp"
#include "run_report.hpp"

namespace {

using nanoseconds = std::chrono::nanoseconds;

class one_command_report : public run_report {
 public:
  one_command_report(console& console, bool quiet) : console_(console), quiet_(quiet) {}

  void started(const job&, int, pid_t) override {}
  void wrote(const job&, stream, std::string_view) override {}  // its output is ours
  void noted(const job&, const std::string&) override {}

  void ended(const job& job, const job_end& end) override {
    std::string text = visible_text(job.name) + ' ' + end.text() + '\n';
    if (end.error != 0) return console_.say("uvreap run: " + text);
    if (quiet_) return;
    const uvreap::resource_usage& usage = end.exit.usage;
    auto wall_ns = static_cast<double>(end.wall.count());
    double share = wall_ns > 0 ? 100 * static_cast<double>(cpu_of(usage).count()) / wall_ns : 0;
    text += "  wall         " + text_of(end.wall) + '\n';
    text += "  user         " + text_of(usage.user_time) + '\n';
    text += "  system       " + text_of(usage.system_time) + '\n';
    text += print("  CPU          %.0f %%\n", share);
    text += "  max RSS      " + size_text(usage.max_rss_bytes) + '\n';
    text += line("page faults", usage.minor_faults, "minor", usage.major_faults, "major");
    text +=
        line("switches", usage.voluntary_switches, "voluntary", usage.involuntary_switches, "involuntary");
    text += line("blocks", usage.blocks_in, "in", usage.blocks_out, "out");
    console_.say(text + (end.tried_again ? "tried again\n" : ""));
  }

  void complained(const std::string& what) override { console_.say("uvreap run: " + what + '\n'); }
  void interrupted(const std::string&, int) override {}
  void working(const run_totals&) override {}
  void finished(const run_totals&) override {}

 private:
  static std::string line(const char* name, std::int64_t a, const char* of_a, std::int64_t b,
                          const char* of_b) {
    return print("  %-12s %lld %s, %lld %s\n", name, static_cast<long long>(a), of_a,
                 static_cast<long long>(b), of_b);
  }

  console& console_;
  bool quiet_;
};

}  // namespace

std::unique_ptr<run_report> make_one_command_report(console& console, const run_settings& settings) {
  return std::make_unique<one_command_report>(console, settings.quiet);
}
