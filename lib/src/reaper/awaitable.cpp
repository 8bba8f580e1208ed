#include "uvreap/awaitable.hpp"

#include <new>
#include <utility>

#include "os/claims.hpp"
#include "uvreap/reaper.hpp"

namespace uvreap {

// What the coroutine's frame and the watch share.
struct awaitable::waiter {
  reaper& by;
  pid_t pid;
  watch_options options;
  exit_result result{};
  std::uint64_t serial =
      0;  // of its own watch: by now a younger child may have the number, and be watched too
  std::uint64_t generation = 0;       // the process in which it waits
  std::coroutine_handle<> waiting{};  // null: not yet, or not any more

  void go_on(exit_result with) noexcept {
    if (!waiting || is_forked_copy(generation)) return;  // in a copy the coroutine is the parent's
    result = std::move(with);
    std::exchange(waiting, nullptr).resume();
  }
};

// The callback of the watch. std::function copies it, so what ends with the watch is what the copies share.
class awaitable::resumption {
 public:
  explicit resumption(std::shared_ptr<waiter> whose) : ended_(std::make_shared<end>(std::move(whose))) {}

  void operator()(const child_exit& exit) const { ended_->whose->go_on({.exit = exit}); }

 private:
  struct end {
    explicit end(std::shared_ptr<waiter> waiting) : whose(std::move(waiting)) {}
    end(const end&) = delete;
    end& operator=(const end&) = delete;
    ~end() { whose->go_on({.error = UV_ECANCELED}); }  // nothing if it was delivered
    std::shared_ptr<waiter> whose;
  };
  std::shared_ptr<end> ended_;
};

awaitable::awaitable(reaper& by, pid_t pid, watch_options options)
    : waiter_(std::make_shared<waiter>(waiter{by, pid, std::move(options)})) {}

awaitable::~awaitable() {
  if (!waiter_->waiting) return;
  waiter_->waiting = nullptr;  // the frame is being destroyed
  (void)waiter_->by.detach(waiter_->pid, waiter_->serial);
}

bool awaitable::await_suspend(std::coroutine_handle<> coroutine) noexcept try {
  waiter& mine = *waiter_;
  watch_options options = mine.options;
  int error = mine.by.watch(mine.pid, std::move(options), resumption(waiter_), &mine.serial);
  mine.result.error = error;
  if (error != 0) return false;  // a failed watch has destroyed its callback, while none waited
  mine.generation = claims::of_this_process()->generation();
  mine.waiting = coroutine;
  return true;
} catch (const std::bad_alloc&) {
  waiter_->result.error = UV_ENOMEM;
  return false;
}

exit_result awaitable::await_resume() noexcept { return std::move(waiter_->result); }

// ---- spawned()

struct spawn_awaitable::waiter {
  reaper& by;
  command what;
  spawn_result result{};
  std::uint64_t serial = 0;
  std::coroutine_handle<> waiting{};  // null: not yet, or not any more

  void go_on(int error, pid_t pid) noexcept {
    result = {.error = error, .pid = pid};
    if (waiting) return std::exchange(waiting, nullptr).resume();
    if (error == 0) (void)by.detach(pid);  // destroyed while it was being made
  }
};

spawn_awaitable::spawn_awaitable(reaper& by, command what)
    : waiter_(std::make_shared<waiter>(waiter{by, std::move(what)})) {}

spawn_awaitable::~spawn_awaitable() {
  if (std::exchange(waiter_->waiting, nullptr)) (void)waiter_->by.cancel_spawn(waiter_->serial);
}

bool spawn_awaitable::await_suspend(std::coroutine_handle<> coroutine) noexcept try {
  waiter& mine = *waiter_;
  auto started = [shared = waiter_](int error, pid_t pid) { shared->go_on(error, pid); };
  mine.result.error = mine.by.spawn_async(mine.what, {}, std::move(started), {}, &mine.serial);
  if (mine.result.error != 0) return false;
  mine.waiting = coroutine;
  return true;
} catch (const std::bad_alloc&) {
  waiter_->result.error = UV_ENOMEM;
  return false;
}

spawn_result spawn_awaitable::await_resume() noexcept { return waiter_->result; }

}  // namespace uvreap
