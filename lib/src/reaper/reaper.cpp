#include "uvreap/reaper.hpp"

#include <atomic>
#include <new>
#include <utility>
#include <vector>

#include "os/always_assert.hpp"
#include "os/proof.hpp"
#include "reaper/core.hpp"

namespace uvreap {
namespace {

// What the handles of one start() share; gone with the last of them, which is when libuv has let go of all.
struct farewell {
  std::vector<std::function<void()>> done;

  farewell() = default;
  farewell(const farewell&) = delete;
  farewell& operator=(const farewell&) = delete;
  ~farewell() {
    for (auto& call : done) call();
  }
};

int check(const options& options) noexcept {
  if (options.children != scope::watched() && options.children != scope::any()) return UV_EINVAL;
  if (options.budget < 1 || options.budget_time.count() < 1) return UV_EINVAL;
  if (options.poll_every.count() < 0 || options.unclaimed_grace.count() < 0) return UV_EINVAL;
  return options.sigchld == sigchld_use::never && sigchld::ignored() ? UV_EINVAL : 0;
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

  [[nodiscard]] bool is_copy() const noexcept { return now_ != nullptr && now_->is_copy(); }

  // What every call begins with: UV_EPERM, UV_EINVAL, or 0 and the running reaper.
  [[nodiscard]] int enter(std::shared_ptr<running>& out) const {
    if (is_copy()) return UV_EPERM;
    if (now_ == nullptr) return UV_EINVAL;
    assert(now_->thread().is_here() && "uvreap: called from a thread that is not the loop's");
    out = now_;
    return 0;
  }

  // A call that can do no more than ask the running reaper, which stays alive meanwhile whatever it destroys.
  template <class Call>
  [[nodiscard]] int ask(Call call) const {
    std::shared_ptr<running> now;
    int error = enter(now);
    return error != 0 ? error : call(*now);
  }

 private:
  uv_loop_t& loop_;
  options options_;
  std::shared_ptr<running> now_;  // null: not started, or closed
  std::weak_ptr<farewell> leaving_;

  // Read by other threads in post(), so here from the beginning.
  std::shared_ptr<hand_overs> hand_overs_ = std::make_shared<hand_overs>();
  std::atomic<std::uint64_t> origin_{0};
};

int reaper::impl::start() try {
  if (is_copy()) return UV_EPERM;
  if (now_ != nullptr) return UV_EALREADY;
  if (int error = check(options_); error != 0) return error;
  registry* all = registry::of_this_process();
  if (all == nullptr) return UV_ENOMEM;
  std::unique_ptr<exit_index> index;
  if (int error = make_exit_index(options_.backend, index); error != 0) return error;

  auto leaving = std::make_shared<farewell>();
  auto fresh = std::make_shared<running>(*all, options_, std::move(index), hand_overs_);
  if (int error = fresh->open(loop_, leaving); error != 0) {
    fresh->close();
    return error;
  }
  now_ = std::move(fresh);
  leaving_ = leaving;
  origin_.store(now_->origin(), std::memory_order_release);
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int reaper::impl::close(std::function<void()> done) try {
  if (is_copy()) return UV_EPERM;
  assert(now_ == nullptr || now_->thread().is_here());
  if (done) {
    auto leaving = leaving_.lock();
    uv_handle<uv_timer_t> carrier;  // where nothing is closing that could carry done, this is, at once
    if (leaving == nullptr) {
      leaving_ = leaving = std::make_shared<farewell>();
      auto init = [this](uv_timer_t* handle) { return uv_timer_init(&loop_, handle); };
      if (int error = carrier.open(init, nullptr, leaving); error != 0) return error;
    }
    leaving->done.push_back(std::move(done));
  }
  if (auto ending = std::exchange(now_, nullptr)) ending->close();
  return 0;
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int reaper::impl::after_fork() {
  if (!is_copy()) return UV_EINVAL;
  std::exchange(now_, nullptr)->close_in_copy();
  hand_overs_ = std::make_shared<hand_overs>();  // the old one's lock may be held by a thread of the parent's
  return start();
}

void reaper::impl::destroy() noexcept {
  if (!is_copy()) {
    (void)close({});
  } else {
    std::exchange(now_, nullptr)->leave_to_the_loop();
  }
}

void reaper::impl::post(pid_t pid, callback told) {
  // In a forked copy the queue's lock may be held for ever, and waking the loop would wake the parent's.
  registry* all = registry::of_this_process();
  if (all == nullptr || all->origin() != origin_.load(std::memory_order_acquire)) return;
  hand_overs_->post(pid, std::move(told));
}

reaper::reaper(uv_loop_t& loop, options options) : impl_(std::make_unique<impl>(loop, std::move(options))) {}
reaper::~reaper() { impl_->destroy(); }

int reaper::start() { return impl_->start(); }
int reaper::close(std::function<void()> done) { return impl_->close(std::move(done)); }
int reaper::after_fork() { return impl_->after_fork(); }
void reaper::post_watch(pid_t pid, callback told) { impl_->post(pid, std::move(told)); }

int reaper::watch(pid_t pid, callback told) { return watch(pid, {}, std::move(told)); }

int reaper::watch(pid_t pid, watch_options options, callback told) try {
  std::shared_ptr<running> now;
  if (int error = impl_->enter(now); error != 0) return error;
  if (int error = check(options); error != 0) return error;
  uvreap::watch wanted(std::move(options), std::move(told));
  return now->watch(pid, wanted);
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int reaper::watch_pidfd(int pidfd, callback told) { return watch_pidfd(pidfd, {}, std::move(told)); }

int reaper::watch_pidfd(int pidfd, watch_options options, callback told) {
  std::shared_ptr<running> now;
  if (int error = impl_->enter(now); error != 0) return error;
  pid_t pid = 0;
  if (int error = pid_of(pidfd, pid); error != 0) return error;
  return watch(pid, std::move(options), std::move(told));
}

int reaper::fork(pid_t* out, std::function<int()> child_main, callback told) {
  return fork(out, std::move(child_main), {}, std::move(told));
}

int reaper::fork(pid_t* out, std::function<int()> child_main, watch_options options, callback told) try {
  std::shared_ptr<running> now;
  if (int error = impl_->enter(now); error != 0) return error;
  assert(out != nullptr);
  if (!child_main) return UV_EINVAL;
  if (int error = check(options); error != 0) return error;
  uvreap::watch wanted(std::move(options), std::move(told));
  return now->fork(out, child_main, wanted);
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int reaper::spawn(pid_t* out, const command& what, callback told) {
  return spawn(out, what, {}, std::move(told));
}

int reaper::spawn(pid_t* out, const command& what, watch_options options, callback told) try {
  std::shared_ptr<running> now;
  if (int error = impl_->enter(now); error != 0) return error;
  assert(out != nullptr);
  if (int error = check(options); error != 0) return error;
  uvreap::watch wanted(std::move(options), std::move(told));
  return now->spawn(out, what, wanted);
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

int reaper::release(pid_t pid) {
  return impl_->ask([&](running& now) { return now.release(pid); });
}

int reaper::detach(pid_t pid) {
  return detach(pid, [](const callback&) { return true; });
}

int reaper::detach(pid_t pid, const std::function<bool(const callback&)>& which) {
  return impl_->ask([&](running& now) { return now.detach(pid, which); });
}

awaitable reaper::exit_of(pid_t pid, watch_options options) { return {*this, pid, std::move(options)}; }

int reaper::exclude(pid_t pid) {
  return impl_->ask([&](running& now) { return now.exclude(pid); });
}

int reaper::terminate(pid_t pid, std::chrono::milliseconds grace) {
  return impl_->ask([&](running& now) { return now.terminate(pid, grace); });
}

int reaper::kill(pid_t pid, int signum) {
  return impl_->ask([&](running& now) { return now.kill(pid, signum); });
}

statistics reaper::stats() const {
  std::shared_ptr<running> now;
  return impl_->enter(now) == 0 ? now->stats() : statistics{};
}

}  // namespace uvreap
