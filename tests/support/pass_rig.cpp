#include "pass_rig.hpp"

#include <doctest/doctest.h>
#include <uv.h>

#include <utility>

#include "os/proof.hpp"

namespace test {

using uvreap::child_change;
using uvreap::child_exit;
using uvreap::child_state;
using uvreap::notice;
using uvreap::watch_table;

pass_rig::pass_rig(uvreap::options chosen)
    : options(std::move(chosen)),
      all(*uvreap::registry::of_this_process()),
      pass(all, backend, table, ready, options, stats) {}

pass_rig::~pass_rig() {
  for (const auto& [pid, watched] : table) all.drop(pid);
  table.clear();
  ready.clear();
}

uvreap::callback pass_rig::noting(uvreap::callback then) {
  return [this, then = std::move(then)](const child_exit& exit) {
    told_[exit.pid].push_back(exit);
    all_told_.push_back(exit);
    if (then) then(exit);
  };
}

int pass_rig::watch(pid_t pid, uvreap::callback told) { return watch_as(pid, {{}, noting(std::move(told))}); }

int pass_rig::watch_changes(pid_t pid) {
  uvreap::watch_options wanted;
  wanted.on_change = [this](const child_change& change) { changes_.push_back(change); };
  return watch_as(pid, {wanted, noting({})});
}

int pass_rig::reserve(pid_t pid) { return watch_as(pid, {{}, {}}); }

// As running::watch, step by step.
int pass_rig::watch_as(pid_t pid, uvreap::watch wanted) {
  if (uvreap::watch* there = table.find(pid)) {
    if (!there->reserved() && !there->forgotten) return UV_EEXIST;
    if (wanted.changes != nullptr) {
      if (!pass.make_room()) return UV_ENOMEM;
      pass.want_changes(pid);
    }
    table.replace(*there, std::move(wanted));
    return 0;
  }
  if (!pass.make_room() || !ready.make_room()) return UV_ENOMEM;
  auto reserved = watch_table::reserve(wanted);
  if (!all.claim(pid, pass.owner())) return UV_EEXIST;
  bool wants_changes = reserved.mapped().changes != nullptr;
  table.bind(std::move(reserved), pid);
  pass.add(pid, wants_changes);
  child_state state = uvreap::look_at(pid);
  if (state == child_state::none) {
    pass.give_up(pid);
    all.drop(pid);
    uvreap::watch back = table.take(pid);
    return ready.tell_kept(pid, back) ? 0 : UV_ESRCH;
  }
  if (state == child_state::ended) pass.hint(pid, notice::already);
  return 0;
}

int pass_rig::release(pid_t pid) {
  if (table.find(pid) == nullptr) return ready.has(pid) ? UV_EALREADY : UV_ESRCH;
  pass.give_up(pid);
  all.drop(pid);
  uvreap::watch gone = table.take(pid);
  gone.mute();
  return 0;
}

int pass_rig::detach(pid_t pid) {
  uvreap::watch* there = table.find(pid);
  if (there == nullptr) return ready.detach(pid) ? 0 : UV_ESRCH;
  there->mute();
  uvreap::watch forgotten;
  forgotten.forgotten = true;
  table.replace(*there, std::move(forgotten));
  return 0;
}

pid_t pass_rig::born_watched() {
  pid_t pid = kernel.born();
  REQUIRE(watch(pid) == 0);
  return pid;
}

std::vector<pid_t> pass_rig::born_watched(int count) {
  std::vector<pid_t> pids;
  for (int i = 0; i < count; ++i) pids.push_back(born_watched());
  return pids;
}

void pass_rig::end_all(const std::vector<pid_t>& pids) {
  for (pid_t pid : pids) kernel.ends(pid, word_of(pid));
}

int pass_rig::settle(int limit) {
  int passes = 1;
  while (pass.run()) {
    if (++passes > limit) FAIL("no end of passes after ", limit);
  }
  return passes;
}

child_exit pass_rig::told_once(pid_t pid) {
  REQUIRE_MESSAGE(told_[pid].size() == 1, "child ", pid, " was told ", told_[pid].size(), " times");
  return told_[pid][0];
}

}  // namespace test
