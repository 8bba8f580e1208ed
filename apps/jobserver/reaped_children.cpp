#include "../shared/group_kill.hpp"
#include "children.hpp"

namespace {

class reaped_children final : public children {
 public:
  reaped_children(uv_loop_t& loop, uvreap::backend_kind backend) : reaper_(loop, {.backend = backend}) {}
  int start() { return reaper_.start(); }

  int spawn(pid_t* out, int* input_end, const order& order, uvreap::callback told) override {
    uvreap::command command{.argv = order.argv};
    command.input = input_end != nullptr ? uvreap::stdio::pipe(input_end) : uvreap::stdio::null();
    command.group = uvreap::process_group::created;
    command.capture(order.keep_output);
    uvreap::watch_options watch{.timeout = order.timeout, .grace = order.grace};
    return reaper_.spawn(out, command, std::move(watch), std::move(told));
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
