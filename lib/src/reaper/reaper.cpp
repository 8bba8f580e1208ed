#include "uvreap/reaper.hpp"

#include <atomic>
#include <new>
#include <utility>

#include "os/always_assert.hpp"
#include "reaper/core.hpp"

namespace uvreap {
namespace {

int check(const options& options) noexcept {
  if (options.children != scope::watched() && options.children != scope::any()) return UV_EINVAL;
  if (options.sole_parent && options.children != scope::any()) return UV_EINVAL;
  if (options.budget < 1 || options.budget_time.count() < 1) return UV_EINVAL;
  if (options.poll_every.count() < 0 || options.unclaimed_grace.count() < 0) return UV_EINVAL;
  if (options.spawn_queue < 1) return UV_EINVAL;
  return options.sigchld == sigchld_use::never && sigchld::is_ignored() ? UV_EINVAL : 0;
}

int check(const watch_options& options) noexcept {
  return options.timeout.count() < 0 || options.grace.count() < 0 ? UV_EINVAL : 0;
}

}  // namespace

class reaper::impl {
 public:
  impl(uv_loop_t& loop, options options) : loop_(loop), options_(std::move(options)) {}

  int start();
  int close(std::function<void()> done);
  int after_fork();
  void destroy() noexcept;
  void post(pid_t, callback);

  [[nodiscard]] bool is_copy() const noexcept { return core_ != nullptr && core_->is_copy(); }

  // What every call begins with: UV_EPERM, UV_EINVAL, or 0 and the core, which stays alive meanwhile whatever
  // the call destroys.
  [[nodiscard]] int enter(std::shared_ptr<core>& out) const {
    if (is_copy()) return UV_EPERM;
    if (core_ == nullptr) return UV_EINVAL;
    assert(core_->thread().is_here() && "uvreap: called from a thread that is not the loop's");
    out = core_;
    return 0;
  }

  template <class Call>
  [[nodiscard]] int ask(Call call) const {
    std::shared_ptr<core> held;
    int error = enter(held);
    return error != 0 ? error : call(*held);
  }

  // The same for a call that takes a child on, with its record.
  template <class Call>
  [[nodiscard]] int ask(watch_options&& options, callback&& tell, Call call) const try {
    std::shared_ptr<core> held;
    if (int error = enter(held); error != 0) return error;
    if (int error = check(options); error != 0) return error;
    auto record = std::make_unique<child>(std::move(options), std::move(tell));
    return call(*held, record);
  } catch (const std::bad_alloc&) {
    return UV_ENOMEM;
  }

 private:
  // In a forked copy its lock may be held, and its queue half changed, by a thread that the copy does not
  // have: it is not even destroyed.
  void leave_inbox() noexcept { new (std::nothrow) std::shared_ptr<inbox>(std::move(inbox_)); }

  uv_loop_t& loop_;
  options options_;
  std::shared_ptr<core> core_;  // null: not started, or closed
  std::weak_ptr<close_barrier> leaving_;

  // Read by other threads in post(), so here from the beginning.
  std::shared_ptr<inbox> inbox_ = std::make_shared<inbox>();
  std::atomic<std::uint64_t> generation_{0};  // of the last start()
};

int reaper::impl::start() try {
  if (is_copy()) return UV_EPERM;
  assert(core_ == nullptr || core_->thread().is_here());
  if (core_ != nullptr) return UV_EALREADY;
  if (int error = check(options_); error != 0) return error;
  claims* all = claims::of_this_process();
  if (all == nullptr) return UV_ENOMEM;
  if (std::uint64_t last = generation_.load(); last != 0 && is_forked_copy(last)) {
    auto fresh = std::make_shared<inbox>();
    leave_inbox();
    inbox_ = std::move(fresh);
  }
  auto barrier = std::make_shared<close_barrier>();
  auto fresh = std::make_shared<core>(*all, options_, inbox_);
  if (int error = fresh->open(loop_, barrier); error != 0) {
    fresh->close();
    return error;
  }
  core_ = std::move(fresh);
  leaving_ = barrier;
  generation_.store(core_->generation(), std::memory_order_release);
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int reaper::impl::close(std::function<void()> done) try {
  if (is_copy()) return UV_EPERM;
  assert(core_ == nullptr || core_->thread().is_here());
  if (done) {
    auto barrier = leaving_.lock();
    if (barrier == nullptr) leaving_ = barrier = std::make_shared<close_barrier>();
    // Closed at once, and carries done where there are no others, or where the program has closed them.
    uv_handle<uv_timer_t> carrier;
    auto init = [this](uv_timer_t* handle) { return uv_timer_init(&loop_, handle); };
    if (int error = carrier.open(init, nullptr, barrier); error != 0) return error;
    barrier->done.push_back(std::move(done));
  }
  if (auto ending = std::exchange(core_, nullptr)) ending->close();
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int reaper::impl::after_fork() {
  if (!is_copy()) return UV_EINVAL;
  auto parents = std::exchange(core_, nullptr);
  int error = start();
  if (error != 0) {
    core_ = std::move(parents);  // as it was: it may be tried again
    return error;
  }
  parents->close();
  return 0;
}

void reaper::impl::destroy() noexcept {
  if (!is_copy()) {
    (void)close({});
  } else {
    std::exchange(core_, nullptr)->close(true);
    leave_inbox();
  }
}

void reaper::impl::post(pid_t pid, callback tell) {
  // In a forked copy the queue's lock may be held for ever, and waking the loop would wake the parent's.
  claims* all = claims::of_this_process();
  if (all == nullptr || all->generation() != generation_.load(std::memory_order_acquire)) return;
  auto record = std::make_unique<child>(watch_options{}, std::move(tell));
  record->id = identity(pid);
  inbox_->post(std::move(record));
}

reaper::reaper(uv_loop_t& loop, options options) : impl_(std::make_unique<impl>(loop, std::move(options))) {}
reaper::~reaper() { impl_->destroy(); }

int reaper::start() { return impl_->start(); }
int reaper::close(std::function<void()> done) { return impl_->close(std::move(done)); }
int reaper::after_fork() { return impl_->after_fork(); }
void reaper::post_watch(pid_t pid, callback tell) { impl_->post(pid, std::move(tell)); }

int reaper::watch(pid_t pid, watch_options options, callback tell) {
  return watch(pid, std::move(options), std::move(tell), nullptr);
}

int reaper::watch(pid_t pid, watch_options&& options, callback&& tell, std::uint64_t* serial) {
  return impl_->ask(std::move(options), std::move(tell), [&](core& now, std::unique_ptr<child>& record) {
    if (serial != nullptr) *serial = record->serial;
    return now.watch(pid, record);
  });
}

int reaper::watch_pidfd(int pidfd, watch_options options, callback tell) {
  return impl_->ask(std::move(options), std::move(tell), [&](core& now, std::unique_ptr<child>& record) {
    pid_t pid = 0;
    if (int error = pid_of(pidfd, pid); error != 0) return error;
    return now.watch(pid, record,
                     birth::of(pid, pidfd));  // a younger child with that number is not taken for it
  });
}

int reaper::fork(pid_t* out, std::function<int()> child_main, watch_options options, callback tell) {
  return impl_->ask(std::move(options), std::move(tell), [&](core& now, std::unique_ptr<child>& record) {
    assert(out != nullptr);
    return child_main ? now.fork(out, child_main, record) : UV_EINVAL;
  });
}

int reaper::spawn(pid_t* out, const command& what, watch_options options, callback tell) {
  return impl_->ask(std::move(options), std::move(tell), [&](core& now, std::unique_ptr<child>& record) {
    assert(out != nullptr);
    return now.spawn(out, what, record);
  });
}

int reaper::spawn_async(const command& what, watch_options options, started_callback started,
                        callback ended) {
  return spawn_async(what, std::move(options), std::move(started), std::move(ended), nullptr);
}

int reaper::spawn_async(const command& what, watch_options&& options, started_callback&& started,
                        callback&& ended, std::uint64_t* serial) {
  return impl_->ask(std::move(options), std::move(ended), [&](core& now, std::unique_ptr<child>& record) {
    if (!started) return static_cast<int>(UV_EINVAL);
    if (serial != nullptr) *serial = record->serial;
    return now.spawn_async(what, record, std::move(started));
  });
}

int reaper::cancel_spawn(std::uint64_t serial) {
  return impl_->ask([&](core& now) { return now.cancel_spawn(serial); });
}

spawn_awaitable reaper::spawned(command what) { return {*this, std::move(what)}; }

int reaper::release(pid_t pid) {
  return impl_->ask([&](core& now) { return now.release(pid); });
}

int reaper::detach(pid_t pid) { return detach(pid, 0); }

int reaper::detach(pid_t pid, std::uint64_t serial) {
  return impl_->ask([&](core& now) { return now.detach(pid, serial); });
}

awaitable reaper::exit_of(pid_t pid, watch_options options) { return {*this, pid, std::move(options)}; }

int reaper::exclude(pid_t pid) {
  return impl_->ask([&](core& now) { return now.exclude(pid); });
}

int reaper::terminate(pid_t pid, std::chrono::milliseconds grace) {
  return impl_->ask([&](core& now) { return now.terminate(pid, grace); });
}

int reaper::kill(pid_t pid, int signum) {
  return impl_->ask([&](core& now) { return now.kill(pid, signum); });
}

int reaper::sigchld_arrived() {
  return impl_->ask([](core& now) { return now.on_sigchld(), 0; });
}

statistics reaper::stats() const {
  std::shared_ptr<core> held;
  return impl_->enter(held) == 0 ? held->stats() : statistics{};
}

}  // namespace uvreap
