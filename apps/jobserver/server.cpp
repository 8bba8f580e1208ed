#include "server.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "../shared/last_resort.hpp"
#include "allow_list.hpp"
#include "descriptor_limit.hpp"
#include "events.hpp"
#include "gate.hpp"
#include "jobs.hpp"
#include "lateness.hpp"
#include "listener.hpp"
#include "logger.hpp"
#include "metrics.hpp"
#include "routes.hpp"
#include "settings.hpp"
#include "signals.hpp"
#include "store.hpp"
#include "systemd.hpp"
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

// What is read from files, at the start and again at SIGHUP.
struct lists {
  allow_list allowed;
  token secret;

  // Empty, or what is wrong; then nothing changed.
  [[nodiscard]] std::string read(const settings& settings) {
    lists all;
    if (settings.allow_any) all.allowed = allow_list::any();
    std::string wrong;
    if (!settings.allow.empty()) wrong = all.allowed.read(settings.allow);
    if (wrong.empty() && !settings.token_file.empty()) wrong = all.secret.read(settings.token_file);
    if (wrong.empty()) *this = std::move(all);
    return wrong;
  }
};

class server {
 public:
  server(uv_loop_t&, const settings&, std::unique_ptr<children>, store&, lists&, const systemd::notifier&);
  bool start(const std::vector<int>& sockets);  // false: it was said why not
  void close();

 private:
  bool listen(const std::vector<int>& sockets);
  bool add_listener(const std::string& address, int descriptor);
  bool say_where();
  void on_change(const char* event, const job&, std::size_t position);
  void on_beat();
  void reload();
  void on_end_signal();
  void leave_when_done();

  uv_loop_t& loop_;
  const settings& settings_;
  std::unique_ptr<children> children_;
  store& store_;
  lists& lists_;
  const systemd::notifier& systemd_;
  logger log_;
  events events_;
  jobs jobs_;
  gate gate_;
  routes routes_;
  web_server web_;
  std::vector<std::unique_ptr<listener>> listeners_;
  lateness lateness_;
  signals signals_;
  uv_timer_t beat_{};
  uv_timer_t leaving_{};
  int leaving_turns_ = 0;
};

server::server(uv_loop_t& loop, const settings& settings, std::unique_ptr<children> children, store& store,
               lists& lists, const systemd::notifier& systemd)
    : loop_(loop),
      settings_(settings),
      children_(std::move(children)),
      store_(store),
      lists_(lists),
      systemd_(systemd),
      log_(settings.logs_json),
      jobs_(loop, *children_, store, settings),
      gate_(settings, lists.secret),
      routes_(jobs_, events_, lists.allowed, gate_, settings),
      web_(loop, routes_, settings),
      lateness_(loop),
      signals_(loop, [this](int signum) { signum == SIGHUP ? reload() : on_end_signal(); }) {
  uv_timer_init(&loop_, &beat_);
  uv_timer_init(&loop_, &leaving_);
  beat_.data = leaving_.data = this;
  jobs_.on_change = [this](const char* event, const job& job, std::size_t position) {
    on_change(event, job, position);
  };
  jobs_.on_trouble = [this](const std::string& what) { log_.note(what); };
  jobs_.why_not = [this](const job_request& asked) { return lists_.allowed.why_not(asked); };
  web_.on_refusal = [this](const http_request& request, const http_answer& answer) {
    log_.refused(request, answer);
  };
  routes_.metrics = [this] {
    return metrics_of({.all_jobs = jobs_,
                       .their_children = *children_,
                       .web = web_,
                       .told = events_,
                       .late = lateness_,
                       .log = log_});
  };
}

bool server::start(const std::vector<int>& sockets) {
  auto on_beat = [](uv_timer_t* timer) { static_cast<server*>(timer->data)->on_beat(); };
  uv_timer_start(&beat_, on_beat, 1000, 1000);
  uv_unref(handle_of(&beat_));
  for (const store::row& job : store_.lost()) log_.note("job " + job.id + ": " + job.text);
  if (int error = signals_.start(); error != 0) {
    return complain(std::string("cannot listen to signals: ") + uv_strerror(error));
  }
  if (int error = web_.start(); error != 0) {
    return complain(std::string("cannot serve HTTP: ") + uv_strerror(error));
  }
  if (!listen(sockets) || !say_where()) return false;
  systemd_.tell("READY=1");
  return true;
}

bool server::listen(const std::vector<int>& sockets) {
  for (int descriptor : sockets) {
    if (!add_listener("a socket of systemd", descriptor)) return false;
  }
  if (!sockets.empty()) return true;
  for (const std::string& address : settings_.listen) {
    if (!add_listener(address, -1)) return false;
  }
  return true;
}

bool server::add_listener(const std::string& address, int descriptor) {
  auto came = [this](int client, const sockaddr_storage& from, socklen_t length) {
    children_->opened(client);
    web_.add(client, from, length);
  };
  listener& added = *listeners_.emplace_back(std::make_unique<listener>(loop_, came));
  std::string wrong = descriptor >= 0 ? added.take(descriptor) : added.open(address, settings_.port);
  if (wrong.empty() && !added.is_local() && settings_.token_file.empty()) {
    wrong = added.where() + " is no loopback address: that needs --token-file";
  }
  if (wrong.empty()) return true;
  bool has_port = descriptor < 0 && !address.starts_with('/');
  std::string port = has_port ? " port " + std::to_string(settings_.port) : "";
  return complain("cannot listen on " + address + port + ": " + wrong);
}

bool server::say_where() {
  std::string lines;
  for (const auto& listener : listeners_) lines += "listening on " + listener->where() + "\n";
  if (::write(STDOUT_FILENO, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size())) return true;
  return complain(std::string("cannot write to stdout: ") + std::strerror(errno));
}

void server::on_change(const char* event, const job& job, std::size_t position) {
  if (job.has_ended()) log_.job_ended(job);
  if (events_.listeners() > 0) events_.tell(event, text_of(job.brief(position)));
}

void server::on_beat() {
  jobs_.on_beat();
  web_.on_beat();
  log_.flush();
  auto late = std::chrono::duration<double, std::milli>(lateness_.take_worst()).count();
  job::json beat{{"running", jobs_.running()}, {"queued", jobs_.queued()}, {"late_ms", late}};
  events_.tell("beat", text_of(beat));
}

// What was admitted by the lists as they were goes on: jobs that run, and answers. A command that was taken
// off the list is not begun any more, though.
void server::reload() {
  systemd_.tell("RELOADING=1");
  std::string wrong = lists_.read(settings_);
  log_.note(wrong.empty() ? "the lists are read again" : "the lists stay as they were: " + wrong);
  if (wrong.empty()) jobs_.cancel_refused();
  systemd_.tell("READY=1");
}

void server::on_end_signal() {
  if (routes_.is_draining) return jobs_.kill_all();
  routes_.is_draining = true;
  systemd_.tell("STOPPING=1");
  jobs_.terminate_all();
  auto look = [](uv_timer_t* timer) { static_cast<server*>(timer->data)->leave_when_done(); };
  uv_timer_start(&leaving_, look, 0, 20);
}

// Not before the last ends have been told, but for clients that do not read them.
void server::leave_when_done() {
  if (!jobs_.is_empty()) return;
  constexpr int patience_turns = 25;
  events_.end();
  if ((!web_.is_idle() || !log_.flush()) && ++leaving_turns_ < patience_turns) return;
  close();
}

// The children are left to the reaper: what is left of a group that a job led holds the loop until it is
// ended, too.
void server::close() {
  for (const auto& listener : listeners_) listener->close();
  web_.close();
  jobs_.close();
  lateness_.close();
  signals_.close();
  for (uv_timer_t* timer : {&beat_, &leaving_}) uv_close(handle_of(timer), nullptr);
}

// A closed stdin, stdout or stderr must not become one of the loop's own descriptors.
bool prepare_descriptors(const settings& settings) {
  while (::fcntl(STDIN_FILENO, F_GETFD) < 0 || ::fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
         ::fcntl(STDERR_FILENO, F_GETFD) < 0) {
    if (::open("/dev/null", O_RDONLY) < 0) return complain("there is no /dev/null");
  }
  for (int signum : {SIGPIPE, SIGXFSZ}) ::signal(signum, SIG_IGN);
  // A job has three pipes, the reaper's backend at most 1 024 pidfds, the rest some dozens.
  auto needed =
      static_cast<rlim_t>(settings.max_clients) + 3 * static_cast<rlim_t>(settings.max_jobs) + 1024 + 64;
  std::string wrong = descriptor_limit::allow(needed);
  return wrong.empty() || complain(wrong);
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
  std::vector<int> sockets = systemd::listening_sockets();
  systemd::notifier systemd;
  settings settings;
  if (auto exit_status = settings.read(argc, argv)) return *exit_status;
  if (!prepare_descriptors(settings)) return 1;

  lists lists;
  if (std::string wrong = lists.read(settings); !wrong.empty()) return complain(wrong), 1;
  store store;
  std::string wrong = store.open(
      settings.state, {.jobs = static_cast<std::size_t>(settings.keep), .bytes = settings.keep_memory});
  if (!wrong.empty()) return complain(wrong), 1;
  warn_of_any(settings);

  uv_loop_t loop;
  int error = uv_loop_init(&loop);
  if (error != 0) return complain(std::string("cannot make a loop: ") + uv_strerror(error)), 1;
  std::unique_ptr<children> children = make_children(loop, settings.backend, error);
  if (children == nullptr) return complain(std::string("cannot start the reaper: ") + uv_strerror(error)), 1;

  last_resort::start(static_cast<std::size_t>(settings.max_jobs));
  bool has_started = false;
  {
    auto* reaper = children.get();
    server server(loop, settings, std::move(children), store, lists, systemd);
    has_started = server.start(sockets);
    if (!has_started) server.close();
    uv_run(&loop, UV_RUN_DEFAULT);
    reaper->close();
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  return uv_loop_close(&loop) == 0 && has_started ? 0 : 1;
}
