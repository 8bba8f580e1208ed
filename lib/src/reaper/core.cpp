#include "reaper/core.hpp"

#include <unistd.h>

#include <new>
#include <utility>

#include "os/proof.hpp"
#include "uvreap/process.hpp"

namespace uvreap {
namespace {

// Whose callback is it? Null where the handle was left to a copied loop, or this is a forked copy that runs
// the copied loop without after_fork(): there a callback does nothing, and the caller stops the handle.
template <class Handle>
running* owner_of(Handle* handle) noexcept {
  auto* owner = static_cast<running*>(handle->data);
  return owner == nullptr || owner->is_copy() ? nullptr : owner;
}

[[noreturn]] void run_in_child(std::function<int()>& child_main) noexcept { ::_exit(child_main() & 0xff); }

}  // namespace

running::running(registry& all, const options& options, std::unique_ptr<exit_index> index,
                 std::shared_ptr<hand_overs> handed) noexcept
    : registry_(all),
      origin_(all.origin()),
      options_(options),
      index_(std::move(index)),
      endings_(registry_, table_),
      pass_(registry_, *index_, table_, ready_, options_, stats_),
      reading_{.all = registry_, .origin = origin_, .on_end = [this] { on_output_read(); }},
      poller_(options_.poll_every),
      hand_overs_(std::move(handed)) {
  pass_.tell_endings(endings_);
}

int running::open(uv_loop_t& loop, const std::shared_ptr<void>& farewell) noexcept {
  thread_.bind();
  reading_.loop = &loop;
  reading_.farewell = farewell;
  auto in_check = [](uv_check_t* handle) {
    if (running* owner = owner_of(handle)) return owner->on_check();
    uv_check_stop(handle);
  };
  auto on_signal = [](uv_signal_t* handle, int) {
    if (running* owner = owner_of(handle)) return owner->on_sigchld();
    uv_signal_stop(handle);
  };
  auto on_timer = [](uv_timer_t* handle) {
    if (running* owner = owner_of(handle)) return owner->on_tick();
    uv_timer_stop(handle);
  };
  auto on_async = [](uv_async_t* handle) {
    if (running* owner = owner_of(handle)) owner->on_posted();
  };
  if (int error = turn_.open(loop, this, in_check, farewell); error != 0) return error;
  if (int error = poller_.open(loop, this, on_timer, farewell); error != 0) return error;
  if (int error = hand_overs_->open(loop, this, on_async, farewell); error != 0) return error;
  if (int error = sigchld_.open(loop, this, on_signal, farewell); error != 0) return error;
  if (int error = endings_.open(loop, farewell); error != 0) return error;
  if (int error = poll_index(index_->descriptor()); error != 0) return error;
  if (options_.children == scope::any()) {
    if (int error = own_all(loop, farewell); error != 0) return error;
  }
  bool listen = options_.sigchld == sigchld_use::always ||
                (options_.sigchld == sigchld_use::when_needed && sigchld::ignored());
  return listen ? sigchld_.listen() : 0;
}

int running::own_all(uv_loop_t& loop, const std::shared_ptr<void>& farewell) noexcept {
  auto init = [&](uv_timer_t* handle) { return uv_timer_init(&loop, handle); };
  if (int error = grace_.open(init, this, farewell); error != 0) return error;
  auto* unclaimed = new (std::nothrow) ownership(loop, registry_, table_, ready_, options_, stats_);
  if (unclaimed == nullptr) return UV_ENOMEM;
  pass_.own(std::unique_ptr<ownership>(unclaimed));
  if (!registry_.claim_any()) return pass_.own(nullptr), UV_EBUSY;
  turn_.due();  // zombies that were there before us
  settle();
  return 0;
}

int running::poll_index(int descriptor) noexcept {
  if (descriptor < 0) return 0;
  auto init = [&](uv_poll_t* handle) { return uv_poll_init(reading_.loop, handle, descriptor); };
  if (int error = index_poll_.open(init, this, reading_.farewell); error != 0) return error;
  return uv_poll_start(index_poll_.get(), UV_READABLE, [](uv_poll_t* handle, int, int) {
    if (running* owner = owner_of(handle)) return owner->on_index();
    uv_poll_stop(handle);
  });
}

void running::close() noexcept {
  closed_ = true;
  pass_.stop();
  for (const auto& [pid, watched] : table_) registry_.drop(pid);
  if (pass_.unclaimed() != nullptr) registry_.drop_any();
  sigchld_.close();
  close_handles();
  hand_overs_->close();
  ready_.clear();
  table_.clear();
  reading_.farewell.reset();
}

void running::close_in_copy() noexcept {
  closed_ = true;
  pass_.stop();
  sigchld_.close_in_copy();
  close_handles();
  hand_overs_->close_in_copy();
}

// But for the two that a copy closes otherwise.
void running::close_handles() noexcept {
  index_poll_.close();
  grace_.close();
  endings_.close();
  poller_.close();
  turn_.close();
}

void running::leave_to_the_loop() noexcept {
  closed_ = true;
  pass_.stop();
  table_.leave_to_the_loop();
  ready_.leave_to_the_loop();
  sigchld_.leave_to_the_loop();
  index_poll_.leave_to_the_loop();
  index_->leave_descriptor();
  grace_.leave_to_the_loop();
  endings_.leave_to_the_loop();
  poller_.leave_to_the_loop();
  turn_.leave_to_the_loop();
  hand_overs_->leave_to_the_loop();
}

// ---- hear

void running::on_sigchld() noexcept {
  thread_.bind();
  pass_.hear(notice::sigchld);
  go_on_when_due();
}

void running::on_index() noexcept {
  thread_.bind();
  pass_.hear(notice::backend);
  turn_.due();
}

void running::on_tick() noexcept {
  thread_.bind();
  sigchld_.repair();
  poller_.ticked();
  index_->try_again([this](int descriptor) { return poll_index(descriptor); });
  pass_.hear(notice::poller);
  go_on_when_due();
}

void running::go_on_when_due() noexcept {
  // No work: the index names all who end, nobody asked for stops, and any() looked a moment ago.
  if (pass_.has_work()) return turn_.due();
  if (pass_.unclaimed() != nullptr) await_grace();
}

void running::on_grace() noexcept {
  thread_.bind();
  turn_.due();
}

void running::on_posted() noexcept {
  thread_.bind();
  auto hold = shared_from_this();
  // As many a turn as a pass may collect: a crowd of hand-overs must not hold the loop up either.
  for (hand_over& one : hand_overs_->take(options_.budget)) {
    if (closed_) return;  // by the destructor of a capture, a moment ago
    uvreap::watch wanted({}, std::move(one.told));
    if (watch(one.pid, wanted) == 0) continue;
    if (!ready_.make_room()) continue;  // no memory for a list node; there is nobody to say it to
    ++stats_.lost;
    ready_.add({.pid = one.pid, .lost = true, .noticed_by = notice::already}, std::move(wanted));
    turn_.due();
  }
  settle();
}

void running::on_output_read() noexcept {
  thread_.bind();
  ready_.read();
  turn_.due();
}

// ---- collect, tell

void running::on_check() noexcept {
  thread_.bind();
  auto hold = shared_from_this();
  bool work_left = pass_.run();
  if (closed_) return;
  poller_.looked(pass_.poller_found());
  if (!work_left) turn_.done();
  settle();
}

void running::settle() noexcept {
  if (closed_) return;  // by the destructor of a capture, a moment ago
  bool something_to_do =
      table_.size() != 0 || !ready_.empty() || ready_.holding() != 0 || pass_.unclaimed() != nullptr;
  poller_.stand_by(something_to_do, table_.holding() + ready_.holding() != 0);
  if (pass_.unclaimed() != nullptr) await_grace();
  // A failure (no descriptor for libuv's signal pipe) leaves it to the poller, and to the next time.
  if (options_.sigchld == sigchld_use::when_needed && pass_.needs_sigchld()) (void)sigchld_.listen();
}

void running::await_grace() noexcept {
  auto next = pass_.unclaimed()->next_look();
  if (!next) {
    uv_timer_stop(grace_.get());
    return;
  }
  // From the loop's own idea of now, which may be as old as its last poll; both count from the same clock.
  std::uint64_t now_ms = uv_now(grace_.get()->loop);
  std::uint64_t next_ms = *next / 1'000'000 + 1;
  std::uint64_t ms = next_ms > now_ms ? next_ms - now_ms : 0;
  uv_timer_start(
      grace_.get(),
      [](uv_timer_t* handle) {
        if (running* owner = owner_of(handle)) return owner->on_grace();
        uv_timer_stop(handle);
      },
      ms, 0);
}

void running::hint(pid_t pid, notice who) noexcept {
  pass_.hint(pid, who);
  turn_.due();
}

// ---- the calls

bool running::make_room() noexcept { return pass_.make_room() && ready_.make_room() && endings_.make_room(); }

void running::add(watch_table::place reserved, pid_t pid) noexcept {
  bool wants_changes = reserved.mapped().changes != nullptr;
  endings_.watched(pid, reserved.mapped());
  table_.bind(std::move(reserved), pid);
  if (pass_.unclaimed() != nullptr) pass_.unclaimed()->claimed(pid);
  pass_.add(pid, wants_changes);
}

watch running::remove(pid_t pid) noexcept {
  pass_.give_up(pid);
  registry_.drop(pid);
  uvreap::watch gone = table_.take(pid);
  endings_.released(pid, gone);
  gone.mute();
  return gone;
}

int running::watch(pid_t pid, uvreap::watch& wanted) noexcept try {
  if (pid <= 0) return UV_EINVAL;
  if (!registry::can_be_a_child(pid)) return UV_ESRCH;
  if (auto* there = table_.find(pid)) return take_back(pid, *there, wanted);
  if (!make_room()) return UV_ENOMEM;
  auto reserved = watch_table::reserve(wanted);
  if (!registry_.claim(pid, pass_.owner())) return wanted = std::move(reserved.mapped()), UV_EEXIST;

  // Armed first, looked at second: however the child ends, one of the two sees it.
  add(std::move(reserved), pid);
  child_state state = look_at(pid);
  if (state == child_state::none) {
    wanted = remove(pid);
    bool was_reserved = ready_.tell_kept(pid, wanted);
    if (was_reserved) turn_.due();
    settle();
    return was_reserved ? 0 : UV_ESRCH;
  }
  if (state == child_state::ended) hint(pid, notice::already);
  settle();
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int running::take_back(pid_t pid, uvreap::watch& there, uvreap::watch& with) noexcept {
  if (!there.reserved() && !there.forgotten) return UV_EEXIST;
  if (!make_room()) return UV_ENOMEM;
  if (with.changes != nullptr) pass_.want_changes(pid);
  with.timed_out = there.timed_out;
  with.output = std::move(there.output);
  there.mute();
  endings_.forgotten(pid, there);
  endings_.watched(pid, with);
  table_.replace(there, std::move(with));
  settle();
  return 0;
}

// make(&pid) makes the child, or fails and there is none; it may throw std::bad_alloc before it did.
template <class Make>
int running::make_child(pid_t* out, uvreap::watch& wanted, Make make) {
  // Everything that can fail comes before the child: there is never one that cannot be watched.
  if (!make_room()) return UV_ENOMEM;
  auto reserved = watch_table::reserve(wanted);
  pid_t pid = 0;
  if (int error = make(&pid); error != 0) return error;
  *out = pid;

  // Its number was another child's that we still watch: somebody took that one's status, or it would not be
  // free.
  if (table_.find(pid) != nullptr) {
    pass_.lost(pid, notice::already);
    turn_.due();
  }
  registry_.claim_newborn(pid, pass_.owner());
  add(std::move(reserved), pid);
  settle();
  return 0;
}

int running::fork(pid_t* out, std::function<int()>& child_main, uvreap::watch& wanted) {
  return make_child(out, wanted, [&](pid_t* pid) {
    int error = uvreap::fork(pid);
    if (error == 0 && *pid == 0) run_in_child(child_main);
    return error;
  });
}

int running::spawn(pid_t* out, const command& what, uvreap::watch& wanted) {
  if (!capture::wanted_by(what)) {
    return make_child(out, wanted, [&](pid_t* pid) { return uvreap::spawn(pid, what); });
  }
  wanted.output = std::make_unique<capture>(reading_);
  capture& output = *wanted.output;
  if (int error = output.open(what); error != 0) return error;
  command with_pipes = output.with_pipes(what);
  return make_child(out, wanted, [&](pid_t* pid) {
    int error = uvreap::spawn(pid, with_pipes);
    if (error == 0) output.begin();
    return error;
  });
}

int running::release(pid_t pid) noexcept {
  if (pid <= 0) return UV_EINVAL;
  if (table_.find(pid) == nullptr) return ready_.has(pid) ? UV_EALREADY : UV_ESRCH;
  // First, as it can fail: the child is not to be taken as unclaimed.
  if (pass_.unclaimed() != nullptr) {
    if (int error = pass_.unclaimed()->exclude(pid); error != 0) return error;
  }
  // Destroyed when all is in order again: captures are somebody else's code.
  uvreap::watch gone = remove(pid);
  settle();
  return 0;
}

int running::exclude(pid_t pid) noexcept {
  if (pid <= 0 || pass_.unclaimed() == nullptr) return UV_EINVAL;
  if (table_.has(pid)) return UV_EEXIST;
  if (look_at(pid) == child_state::none) return UV_ESRCH;
  return pass_.unclaimed()->exclude(pid);
}

int running::detach(pid_t pid, const which_watch& which) noexcept {
  if (pid <= 0) return UV_EINVAL;
  auto* there = table_.find(pid);
  int result = 0;
  if (there != nullptr && which(there->tell)) {
    there->mute();
    endings_.forgotten(pid, *there);
    uvreap::watch forgotten;
    forgotten.forgotten = true;
    forgotten.output = std::move(there->output);
    if (forgotten.output) forgotten.output->discard();
    table_.replace(*there, std::move(forgotten));
  } else {
    result = ready_.detach(pid, which) ? 0 : UV_ESRCH;
  }
  settle();
  return result;
}

int running::kill(pid_t pid, int signum) noexcept {
  if (pid <= 0) return UV_EINVAL;
  if (table_.find(pid) == nullptr) return UV_ESRCH;
  int error = send_signal(pid, signum);
  if (error == UV_ESRCH) hint(pid, notice::poller);  // ours, and gone without us: it is told as lost
  return error;
}

int running::terminate(pid_t pid, std::chrono::milliseconds grace) noexcept {
  if (pid <= 0 || grace.count() < 0) return UV_EINVAL;
  if (!table_.has(pid)) return UV_ESRCH;
  int error = endings_.begin(pid, grace);
  if (error == UV_ESRCH) hint(pid, notice::poller);
  return error;
}

statistics running::stats() const noexcept {
  statistics now = stats_;
  now.watched = table_.size();
  index_->describe(now);
  now.unclaimed_one_by_one = pass_.unclaimed() != nullptr && !pass_.unclaimed()->lists();
  now.sigchld = sigchld_.health(pass_.unheard());
  return now;
}

}  // namespace uvreap
