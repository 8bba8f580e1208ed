#include "server.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "allow_list.hpp"
#include "application.hpp"
#include "jobs.hpp"
#include "lateness.hpp"
#include "metrics.hpp"
#include "settings.hpp"
#include "token.hpp"
#include "web_server.hpp"

namespace {

bool complain(const std::string& text) {
  std::fprintf(stderr, "uvreap-jobserver: %s%s", text.c_str(), text.ends_with('\n') ? "" : "\n");
  return false;
}

template <class Handle>
uv_handle_t* handle_of(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

class server {
 public:
  server(uv_loop_t&, const settings&, std::unique_ptr<children>, const allow_list&, const token&);
  bool start();  // false: it was said why not
  void close();

 private:
  bool say_where();
  void on_signal();
  void on_beat();
  void leave_when_done();

  uv_loop_t& loop_;
  const settings& settings_;
  std::unique_ptr<children> children_;
  jobs jobs_;
  application application_;
  web_server web_;
  lateness lateness_;
  uv_timer_t beat_{};
  uv_timer_t leaving_{};
  std::array<uv_signal_t, 3> signals_{};
  int leaving_turns_ = 0;
};

server::server(uv_loop_t& loop, const settings& settings, std::unique_ptr<children> children,
               const allow_list& allowed, const token& token)
    : loop_(loop),
      settings_(settings),
      children_(std::move(children)),
      jobs_(loop, *children_, settings),
      application_(jobs_, allowed, token, settings),
      web_(loop, application_, settings),
      lateness_(loop) {
  uv_timer_init(&loop_, &beat_);
  uv_timer_init(&loop_, &leaving_);
  beat_.data = leaving_.data = this;
  for (uv_signal_t& signal : signals_) {
    uv_signal_init(&loop_, &signal);
    signal.data = this;
  }
  auto tell = [this](const char* what, const job& job) {
    job::json event{{"event", what}};
    event.update(job.brief());
    web_.tell_all(text_of(event));
  };
  jobs_.on_start = [tell](const job& job) { tell("start", job); };
  jobs_.on_end = [tell](const job& job) { tell("end", job); };
  application_.metrics = [this] { return metrics_of(jobs_, *children_, web_, lateness_); };
}

bool server::start() {
  auto on_beat = [](uv_timer_t* timer) { static_cast<server*>(timer->data)->on_beat(); };
  uv_timer_start(&beat_, on_beat, 1000, 1000);
  uv_unref(handle_of(&beat_));

  constexpr int ends[] = {SIGTERM, SIGINT, SIGHUP};
  for (std::size_t i = 0; i < signals_.size(); ++i) {
    auto on_signal = [](uv_signal_t* handle, int) { static_cast<server*>(handle->data)->on_signal(); };
    if (int error = uv_signal_start(&signals_[i], on_signal, ends[i]); error != 0) {
      return complain(std::string("cannot listen to signals: ") + uv_strerror(error));
    }
  }
  if (std::string wrong = web_.start(); !wrong.empty()) return complain(wrong);
  return say_where();
}

bool server::say_where() {
  bool is_ipv6 = settings_.listen.find(':') != std::string::npos;
  std::string host = is_ipv6 ? "[" + settings_.listen + "]" : settings_.listen;
  std::string line = "listening on http://" + host + ":" + std::to_string(web_.port()) + "/\n";
  if (::write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return true;
  return complain(std::string("cannot write to stdout: ") + std::strerror(errno));
}

void server::on_beat() {
  auto late = std::chrono::duration<double, std::milli>(lateness_.take_worst()).count();
  job::json event{{"event", "beat"}, {"running", jobs_.running()}, {"late_ms", late}};
  web_.tell_all(text_of(event));
}

void server::on_signal() {
  if (application_.is_draining) return jobs_.kill_all();
  application_.is_draining = true;
  jobs_.terminate_all();
  auto look = [](uv_timer_t* timer) { static_cast<server*>(timer->data)->leave_when_done(); };
  uv_timer_start(&leaving_, look, 0, 20);
}

// Not before the last ends have been told, but for clients that do not read them.
void server::leave_when_done() {
  if (jobs_.running() > 0) return;
  constexpr int patience_turns = 25;
  if (!web_.is_idle() && ++leaving_turns_ < patience_turns) return;
  close();
}

// The children are left to the reaper: what is left of a group that a job led holds the loop until it is
// ended, too.
void server::close() {
  web_.close();
  lateness_.close();
  for (uv_timer_t* timer : {&beat_, &leaving_}) uv_close(handle_of(timer), nullptr);
  for (uv_signal_t& signal : signals_) uv_close(handle_of(&signal), nullptr);
}

// A closed stdout or stderr must not become one of the loop's own descriptors.
bool prepare_descriptors(const settings& settings) {
  while (::fcntl(STDIN_FILENO, F_GETFD) < 0 || ::fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
         ::fcntl(STDERR_FILENO, F_GETFD) < 0) {
    if (::open("/dev/null", O_RDONLY) < 0) return complain("there is no /dev/null");
  }
  ::signal(SIGPIPE, SIG_IGN);
  // A job has three pipes, the reaper's backend at most 1 024 pidfds, the rest some dozens.
  auto needed =
      static_cast<rlim_t>(settings.max_clients) + 3 * static_cast<rlim_t>(settings.max_jobs) + 1024 + 64;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= needed) return true;
  if (limit.rlim_max < needed) {
    return complain("--max-clients and --max-jobs need " + std::to_string(needed) +
                    " descriptors, the limit is " + std::to_string(limit.rlim_max));
  }
  limit.rlim_cur = needed;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 || complain("cannot raise the limit of descriptors");
}

void warn_of_any(const settings& settings) {
  if (!settings.allow_any) return;
  bool has_colors = ::isatty(STDERR_FILENO) == 1;
  std::fprintf(
      stderr,
      "%suvreap-jobserver: --allow-any: whoever can reach this port%s can run ANY command as user %d%s\n",
      has_colors ? "\033[1;31m" : "", settings.token_file.empty() ? "" : " and has the token",
      static_cast<int>(::geteuid()), has_colors ? "\033[0m" : "");
}

}  // namespace

int serve(int argc, char** argv, children_maker make_children) {
  settings settings;
  if (auto exit_status = settings.read(argc, argv)) return *exit_status;
  if (!prepare_descriptors(settings)) return 1;

  allow_list allowed;
  token token;
  std::string wrong;
  if (settings.allow_any) allowed = allow_list::any();
  if (!settings.allow.empty()) wrong = allowed.read(settings.allow);
  if (wrong.empty() && !settings.token_file.empty()) wrong = token.read(settings.token_file);
  if (!wrong.empty()) return complain(wrong), 1;
  warn_of_any(settings);

  uv_loop_t loop;
  int error = uv_loop_init(&loop);
  if (error != 0) return complain(std::string("cannot make a loop: ") + uv_strerror(error)), 1;
  std::unique_ptr<children> children = make_children(loop, settings.backend, error);
  if (children == nullptr) return complain(std::string("cannot start the reaper: ") + uv_strerror(error)), 1;

  bool has_started = false;
  {
    auto* reaper = children.get();
    server server(loop, settings, std::move(children), allowed, token);
    has_started = server.start();
    if (!has_started) server.close();
    uv_run(&loop, UV_RUN_DEFAULT);
    reaper->close();
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  return uv_loop_close(&loop) == 0 && has_started ? 0 : 1;
}
