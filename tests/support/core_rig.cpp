#include "core_rig.hpp"

#include <utility>

namespace test {

using uvreap::child_change;
using uvreap::child_exit;
using uvreap::claims;

uvreap::options with_budget(int count) {
  uvreap::options options;
  options.backend = uvreap::backend_kind::peek;
  options.sigchld = uvreap::sigchld_use::never;
  options.poll_every = std::chrono::milliseconds(0);
  options.budget = count;
  return options;
}

core_rig::core_rig(uvreap::options chosen, known_by how)
    : own_(std::make_unique<fake_kernel>()), kernel(*own_), options(std::move(chosen)) {
  kernel.has_pidfds = how == known_by::held_pidfd || how == known_by::inode;
  kernel.has_start_times = how != known_by::number;
  if (how == known_by::inode) {
    while (claims::of_this_process()->hold(claims::most_held())) ++taken_pidfds_;
  }
  open();
}

core_rig::core_rig(fake_kernel& shared, uvreap::options chosen) : kernel(shared), options(std::move(chosen)) {
  open();
}

void core_rig::open() {
  REQUIRE(uv_loop_init(&loop) == 0);
  core = std::make_shared<uvreap::core>(*claims::of_this_process(), options, inbox);
  REQUIRE(core->open(loop, std::make_shared<uvreap::close_barrier>()) == 0);
}

core_rig::~core_rig() {
  close();
  core.reset();
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK_MESSAGE(uv_loop_close(&loop) == 0, "a handle is left in the loop");
  for (; taken_pidfds_ != 0; --taken_pidfds_) claims::of_this_process()->let_go();
}

void core_rig::close() {
  if (!std::exchange(is_closed_, true)) core->close();
}

uvreap::callback core_rig::noting(uvreap::callback then) {
  return [this, then = std::move(then)](const child_exit& exit) {
    delivered_[exit.pid].push_back(exit);
    all_delivered_.push_back(exit);
    if (then) then(exit);
  };
}

int core_rig::watch(pid_t pid, uvreap::callback then) { return watch_as(pid, {}, noting(std::move(then))); }

int core_rig::watch_changes(pid_t pid, std::function<void()> then) {
  uvreap::watch_options wanted;
  wanted.on_change = [this, then = std::move(then)](const child_change& change) {
    changes_.push_back(change);
    if (then) then();
  };
  return watch_as(pid, wanted, noting({}));
}

int core_rig::watch_until(std::chrono::milliseconds timeout, pid_t pid) {
  uvreap::watch_options wanted;
  wanted.timeout = timeout;
  return watch_as(pid, wanted, noting({}));
}

int core_rig::reserve(pid_t pid) { return watch_as(pid, {}, {}); }

int core_rig::watch_as(pid_t pid, uvreap::watch_options wanted, uvreap::callback tell) {
  auto record = std::make_unique<uvreap::child>(std::move(wanted), std::move(tell));
  return core->watch(pid, record);
}

void core_rig::post_watch(pid_t pid) {
  auto record = std::make_unique<uvreap::child>(uvreap::watch_options{}, noting({}));
  record->id = uvreap::identity(pid);
  inbox->post(std::move(record));
}

pid_t core_rig::born_watched() {
  pid_t pid = kernel.born();
  REQUIRE(watch(pid) == 0);
  return pid;
}

std::vector<pid_t> core_rig::born_watched(int count) {
  std::vector<pid_t> pids;
  for (int i = 0; i < count; ++i) pids.push_back(born_watched());
  return pids;
}

void core_rig::end_all(const std::vector<pid_t>& pids) {
  for (pid_t pid : pids) kernel.ends(pid, word_of(pid));
}

int core_rig::settle(int limit) {
  int sweeps = 1;
  while (sweep()) {
    if (++sweeps > limit) FAIL("no end of sweeps after ", limit);
  }
  return sweeps;
}

child_exit core_rig::delivered_once(pid_t pid) {
  REQUIRE_MESSAGE(delivered_[pid].size() == 1, "child ", pid, " was delivered ", delivered_[pid].size(),
                  " times");
  return delivered_[pid][0];
}

// As far as the loop is told so: at the end of a sweep that the loop made, and of most calls.
bool core_rig::holds_the_loop() {
  constexpr pid_t nobody = 4'194'000;
  CHECK(watch(nobody) == UV_ESRCH);
  return uv_loop_alive(&loop) != 0;
}

}  // namespace test
