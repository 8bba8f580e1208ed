#include "uvreap/awaitable.hpp"

#include <new>
#include <utility>

#include "uvreap/reaper.hpp"

namespace uvreap {

// What the coroutine's frame and the watch share.
struct awaitable::waiter {
  reaper& by;
  pid_t pid;
  watch_options options;
  exit_result result{};
  std::coroutine_handle<> waiting{};  // null: nobody waits (yet, or any more)

  void go_on(exit_result with) noexcept {
    if (!waiting) return;
    result = std::move(with);
    std::exchange(waiting, nullptr).resume();
  }
};

// The callback of the watch. std::function copies it, so what ends with the watch is what the copies share.
class awaitable::resumption {
 public:
  explicit resumption(std::shared_ptr<waiter> whose) : ended_(std::make_shared<end>(std::move(whose))) {}

  void operator()(const child_exit& exit) const { ended_->whose->go_on({.exit = exit}); }

  [[nodiscard]] bool is_of(const waiter& one) const noexcept { return ended_->whose.get() == &one; }

 private:
  struct end {
    explicit end(std::shared_ptr<waiter> waiting) : whose(std::move(waiting)) {}
    end(const end&) = delete;
    end& operator=(const end&) = delete;
    ~end() { whose->go_on({.error = UV_ECANCELED}); }  // nothing if it was told
    std::shared_ptr<waiter> whose;
  };
  std::shared_ptr<end> ended_;
};

awaitable::awaitable(reaper& by, pid_t pid, watch_options options)
    : waiter_(std::make_shared<waiter>(waiter{by, pid, std::move(options)})) {}

awaitable::~awaitable() {
  if (!waiter_->waiting) return;
  waiter_->waiting = nullptr;  // the frame is being destroyed
  // Its own watch: by now a younger child may have the number, and be watched too.
  (void)waiter_->by.detach(waiter_->pid, [this](const callback& told) {
    const auto* one = told.target<resumption>();
    return one != nullptr && one->is_of(*waiter_);
  });
}

bool awaitable::await_suspend(std::coroutine_handle<> coroutine) noexcept try {
  waiter& mine = *waiter_;
  int error = mine.by.watch(mine.pid, mine.options, resumption(waiter_));
  mine.result.error = error;
  if (error == 0) mine.waiting = coroutine;  // a failed watch has destroyed its callback, which found nobody
  return error == 0;
} catch (const std::bad_alloc&) {
  waiter_->result.error = UV_ENOMEM;
  return false;
}

exit_result awaitable::await_resume() noexcept { return std::move(waiter_->result); }

}  // namespace uvreap
