#include <sys/prctl.h>
#include <unistd.h>

#include "../shared/group_kill.hpp"
#include "children.hpp"
#include "descriptor_limit.hpp"
#include "last_resort.hpp"

namespace {

// As PID 1, or as a subreaper, whatever the jobs leave behind becomes ours, and would stay a zombie.
uvreap::scope whose_children() {
  int is_subreaper = 0;
  ::prctl(PR_GET_CHILD_SUBREAPER, &is_subreaper);
  return ::getpid() == 1 || is_subreaper != 0 ? uvreap::scope::any() : uvreap::scope::watched();
}

class reaped_children final : public children {
 public:
  reaped_children(uv_loop_t& loop, uvreap::backend_kind backend)
      : reaper_(loop, {.children = whose_children(), .backend = backend}) {}
  int start() { return reaper_.start(); }

  void spawn(const order& order, started started, uvreap::callback ended) override {
    const job_request& asked = order.asked;
    child made;
    uvreap::command command;
    command.argv = asked.argv;
    command.env.set = asked.env;
    command.cwd = asked.cwd;
    command.input = asked.input ? uvreap::stdio::pipe(&made.input) : uvreap::stdio::null();
    command.output = uvreap::stdio::pipe(&made.output);
    command.error_output = uvreap::stdio::pipe(&made.error_output);
    command.group = uvreap::process_group::created;
    uvreap::watch_options watch{.timeout = asked.timeout, .grace = order.grace};
    auto told = [ended = std::move(ended)](const uvreap::child_exit& exit) {
      last_resort::remove(exit.pid);
      ended(exit);
    };
    int error = 0;
    {
      descriptor_limit::lowered limit;
      error = reaper_.spawn(&made.pid, command, watch, told);
    }
    if (error == UV_EMFILE) {
      // So many are open that its pipes need the raised limit: the child is given the other one at once, but
      // may have looked before.
      error = reaper_.spawn(&made.pid, command, watch, told);
      if (error == 0) ::prlimit(made.pid, RLIMIT_NOFILE, &descriptor_limit::original(), nullptr);
    }
    if (error == 0) last_resort::add(made.pid);
    started(error, made);
  }

  // UV_EALREADY: it is on its way. UV_ESRCH: it has ended, and will be told.
  void terminate(pid_t pid, std::chrono::milliseconds grace) override { (void)reaper_.terminate(pid, grace); }

  void kill_group(pid_t pid) override { (void)::kill_group(reaper_, pid); }

  void close() override { reaper_.close(); }
  [[nodiscard]] uvreap::statistics stats() const override { return reaper_.stats(); }

 private:
  uvreap::reaper reaper_;
};

}  // namespace

std::unique_ptr<children> make_reaped_children(uv_loop_t& loop, uvreap::backend_kind backend, int& error) {
  auto made = std::make_unique<reaped_children>(loop, backend);
  error = made->start();
  if (error != 0) return nullptr;
  return made;
}
