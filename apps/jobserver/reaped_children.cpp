#include <sys/prctl.h>
#include <unistd.h>

#include <limits>
#include <utility>
#include <vector>

#include "../shared/group_kill.hpp"
#include "../shared/last_resort.hpp"
#include "children.hpp"
#include "descriptor_limit.hpp"

namespace {

// As PID 1, or as a subreaper, whatever the jobs leave behind becomes ours, and would stay a zombie.
uvreap::scope whose_children() {
  int is_subreaper = 0;
  ::prctl(PR_GET_CHILD_SUBREAPER, &is_subreaper);
  return ::getpid() == 1 || is_subreaper != 0 ? uvreap::scope::any() : uvreap::scope::watched();
}

uvreap::options options_with(uvreap::backend_kind backend) {
  uvreap::options options{
      .children = whose_children(), .backend = backend, .sigchld = uvreap::sigchld_use::when_needed};
  options.spawn_queue = std::numeric_limits<int>::max();  // --max-jobs bounds those being started, too
  return options;
}

class reaped_children final : public children {
 public:
  reaped_children(uv_loop_t& loop, uvreap::backend_kind backend) : reaper_(loop, options_with(backend)) {}
  int start() { return reaper_.start(); }

  void spawn(const order& order, started started, uvreap::callback ended) override {
    auto told = [ended = std::move(ended)](const uvreap::child_exit& exit) {
      last_resort::remove(exit.pid);
      ended(exit);
    };
    ask(std::make_shared<asked>(asked{order, std::move(started), std::move(told)}));
  }

  void opened(int descriptor) override {
    if (!descriptor_limit::is_near(descriptor)) return;
    run_short();
    raise_if_due();
  }

  // UV_EALREADY: it is on its way. UV_ESRCH: it has ended, and will be told.
  void terminate(pid_t pid, std::chrono::milliseconds grace) override { (void)reaper_.terminate(pid, grace); }

  void kill_group(pid_t pid) override { (void)::kill_group(reaper_, pid); }

  void close() override { reaper_.close(); }
  [[nodiscard]] uvreap::statistics stats() const override { return reaper_.stats(); }

 private:
  struct asked {
    children::order order;
    children::started started;
    uvreap::callback ended;
    child made{};
    bool is_before_raise = true;  // of the limit: what was asked for then may be told after it
  };

  void ask(const std::shared_ptr<asked>& one) {
    const job_request& asked = one->order.asked;
    uvreap::command command;
    command.argv = asked.argv;
    command.cwd = asked.cwd;
    command.env.set = asked.env;
    command.input = asked.input ? uvreap::stdio::pipe(&one->made.input) : uvreap::stdio::null();
    command.output = uvreap::stdio::pipe(&one->made.output);
    command.error_output = uvreap::stdio::pipe(&one->made.error_output);
    command.group = uvreap::process_group::created;
    bool inherits_limit = limit_ == limit::original;
    one->is_before_raise = limit_ != limit::raised;
    auto started = [this, one, inherits_limit](int error, pid_t pid) {
      if (inherits_limit) --inheriting_;
      one->made.pid = pid;
      on_started(one, error);
    };
    int error = inherits_limit ? 0 : descriptor_limit::give_back(command);
    if (error == 0) {
      uvreap::watch_options watch{.timeout = asked.timeout, .grace = one->order.grace};
      error = reaper_.spawn_async(command, watch, started, one->ended);
    }
    if (error != 0) return on_started(one, error);
    if (inherits_limit) ++inheriting_;
  }

  void on_started(const std::shared_ptr<asked>& one, int error) {
    if (error == UV_EMFILE && one->is_before_raise && limit_ == limit::raised) return ask(one);
    if (error == UV_EMFILE && limit_ != limit::raised && run_short()) {
      waiting_.push_back(one);
    } else {
      if (error == 0) last_resort::add(one->made.pid);
      if (error == 0) opened(one->made.error_output);
      one->started(error, one->made);
    }
    raise_if_due();
  }

  // False: the limit cannot be raised.
  bool run_short() {
    if (limit_ == limit::original && descriptor_limit::can_raise()) limit_ = limit::short_of;
    return limit_ == limit::short_of;
  }

  // What is being made with the limit that we have must not find the raised one.
  void raise_if_due() {
    if (limit_ != limit::short_of || inheriting_ > 0) return;
    descriptor_limit::raise();
    limit_ = limit::raised;
    for (const auto& one : std::exchange(waiting_, {})) ask(one);
  }

  uvreap::reaper reaper_;
  enum class limit { original, short_of, raised } limit_ = limit::original;
  int inheriting_ = 0;                           // being made, with the limit that we have
  std::vector<std::shared_ptr<asked>> waiting_;  // for the limit to be raised
};

}  // namespace

std::unique_ptr<children> make_reaped_children(uv_loop_t& loop, uvreap::backend_kind backend, int& error) {
  auto made = std::make_unique<reaped_children>(loop, backend);
  error = made->start();
  if (error != 0) return nullptr;
  return made;
}
