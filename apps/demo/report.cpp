#include "report.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "../shared/printed.hpp"

namespace {

using std::chrono::nanoseconds;
using json = nlohmann::ordered_json;

double milliseconds_of(nanoseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }

std::string children_of(int count) { return std::to_string(count) + (count == 1 ? " child" : " children"); }

class text_report final : public report {
 public:
  explicit text_report(output& out) : out_(out) {}

  void in_child(pid_t child_pid, int a) override {
    output::write_now(print("In child: childPid = %d, a = %d\n", child_pid, a));
  }

  void in_parent(pid_t child_pid, int a) override {
    say(print("In parent: childPid = %d, a = %d", child_pid, a));
  }

  void begin(int children, double seconds) override {
    say(print("\n%s that sleep up to %g s; the loop takes a turn every millisecond",
              children_of(children).c_str(), seconds));
  }

  void forked(pid_t, nanoseconds) override {}

  // Only where it can be taken back, and only if the terminal keeps up.
  void working(std::uint64_t sum, int children_left) override {
    if (!out_.is_terminal() || out_.is_busy()) return;
    out_.write(erased() + "sum = " + std::to_string(sum) + ", " + children_of(children_left) + " left");
    has_status_ = true;
  }

  void ended(const uvreap::child_exit& exit, nanoseconds wall) override {
    auto cpu = exit.usage.user_time + exit.usage.system_time;
    say(print("child process done: pid %d %s, wall %.1f ms, CPU %.1f ms, max RSS %.1f MiB, noticed by %s",
              exit.pid, exit.lost ? "lost" : exit.status.text().c_str(), milliseconds_of(wall),
              milliseconds_of(cpu), static_cast<double>(exit.usage.max_rss_bytes) / (1024 * 1024),
              streamed(exit.noticed_by).c_str()));
  }

  void interrupted(int signum, int children_left) override {
    say(signal_name(signum) + ": ending " + children_of(children_left));
  }

  void end(const summary& all) override {
    say(print("\nsum = %llu turns in %.2f s, the longest time between two of them %.1f ms",
              static_cast<unsigned long long>(all.sum), milliseconds_of(all.elapsed) / 1000,
              milliseconds_of(all.longest_gap)));
    std::string stats = streamed(all.reaper);
    for (std::size_t at = 0; (at = stats.find("; ", at)) != std::string::npos;)
      stats.replace(at, 2, "\n        ");
    say("reaper: " + stats);
  }

 private:
  void say(const std::string& line) { out_.write(erased() + line + '\n'); }

  // What takes the status line off the terminal, if one is there.
  std::string erased() {
    bool had_status = std::exchange(has_status_, false);
    return had_status ? "\r\033[K" : "";
  }

  output& out_;
  bool has_status_ = false;
};

class json_report final : public report {
 public:
  explicit json_report(output& out) : out_(out) {}

  void in_child(pid_t child_pid, int a) override {
    output::write_now(copy("child", child_pid, a).dump() + '\n');
  }
  void in_parent(pid_t child_pid, int a) override { say(copy("parent", child_pid, a)); }

  void begin(int children, double seconds) override {
    say({{"event", "begin"}, {"children", children}, {"seconds", seconds}});
  }

  void forked(pid_t pid, nanoseconds sleep) override {
    say({{"event", "fork"}, {"pid", pid}, {"sleep_us", microseconds_of(sleep)}});
  }

  void working(std::uint64_t, int) override {}

  void ended(const uvreap::child_exit& exit, nanoseconds wall) override {
    say({{"event", "end"},
         {"pid", exit.pid},
         {"lost", exit.lost},
         {"status", exit.status.text()},
         {"exit_code", exit.status.exited() ? json(exit.status.exit_code()) : json()},
         {"signal", exit.status.signaled() ? json(exit.status.term_signal()) : json()},
         {"wall_us", microseconds_of(wall)},
         {"user_us", exit.usage.user_time.count()},
         {"system_us", exit.usage.system_time.count()},
         {"max_rss_bytes", exit.usage.max_rss_bytes},
         {"noticed_by", streamed(exit.noticed_by)}});
  }

  void interrupted(int signum, int children_left) override {
    say({{"event", "interrupt"}, {"signal", signum}, {"children_left", children_left}});
  }

  void end(const summary& all) override {
    const uvreap::statistics& reaper = all.reaper;
    say({{"event", "summary"},
         {"sum", all.sum},
         {"elapsed_us", microseconds_of(all.elapsed)},
         {"longest_gap_us", microseconds_of(all.longest_gap)},
         {"reaper",
          {{"watched", reaper.watched},
           {"reaped", reaper.reaped},
           {"lost", reaper.lost},
           {"sweeps", reaper.sweeps},
           {"longest_pass_us", microseconds_of(reaper.longest_sweep)},
           {"budget_spent_turns", reaper.budget_spent_turns},
           {"wakeups_by_sigchld", reaper.wakeups_by_sigchld},
           {"wakeups_by_backend", reaper.wakeups_by_backend},
           {"wakeups_by_poller", reaper.wakeups_by_poller},
           {"missed", reaper.missed},
           {"backend", streamed(reaper.backend)},
           {"sigchld", streamed(reaper.sigchld)}}}});
  }

 private:
  static json copy(const char* side, pid_t child_pid, int a) {
    return {{"event", "copy"}, {"in", side}, {"child_pid", child_pid}, {"a", a}};
  }

  void say(const json& event) { out_.write(event.dump() + '\n'); }

  output& out_;
};

}  // namespace

std::unique_ptr<report> make_text_report(output& out) { return std::make_unique<text_report>(out); }
std::unique_ptr<report> make_json_report(output& out) { return std::make_unique<json_report>(out); }
