#include "wake/sigchld.hpp"

#include <atomic>
#include <new>
#include <utility>

#include "os/syscalls.hpp"

namespace uvreap {
namespace {

bool leaves_no_status(const struct ::sigaction& action) noexcept {
  return sys::is_set_to(action, SIG_IGN) || (action.sa_flags & SA_NOCLDWAIT) != 0;
}

bool is_a_function(const struct ::sigaction& action) noexcept {
  return !sys::is_set_to(action, SIG_IGN) && !sys::is_set_to(action, SIG_DFL);
}

bool same_handler(const struct ::sigaction& one, const struct ::sigaction& other) noexcept {
  return one.sa_handler == other.sa_handler;  // in one union with sa_sigaction
}

}  // namespace

// All that were ever made, in a list that only grows, so that threads and forked copies may walk it at any
// time.
struct sigchld::kept_handle : handle_box<uv_signal_t> {
  uv_loop_t* loop = nullptr;
  std::atomic<bool> is_taken{true};          // from open() until libuv has let go of it
  std::atomic<std::uint64_t> listens_in{0};  // the fork generation; 0: it does not listen
  kept_handle* next = nullptr;

  static inline std::atomic<kept_handle*> first{nullptr};

  [[nodiscard]] uv_handle_t* base() noexcept { return reinterpret_cast<uv_handle_t*>(&handle); }
  static void on_closed(uv_handle_t* handle) noexcept {
    auto* gone = static_cast<kept_handle*>(reinterpret_cast<handle_box<uv_signal_t>*>(handle));
    gone->is_taken.store(false, std::memory_order_release);
    gone->leave_barrier();
  }
};

sigchld::kept_handle* sigchld::free_handle_of(uv_loop_t& loop) noexcept {
  for (auto* one = kept_handle::first.load(std::memory_order_acquire); one != nullptr; one = one->next) {
    if (one->loop != &loop) continue;
    // Closed by the program with uv_walk: no close callback of ours has said that it is free. (A parent's, in
    // a forked copy whose loop was not forked or ended, is still on the loop.)
    bool taken = false;
    if (one->is_taken.compare_exchange_strong(taken, true, std::memory_order_acq_rel)) return one;
    if (one->handle.data == nullptr && !is_on_its_loop(one->base())) return one;
  }
  auto* fresh = new (std::nothrow) kept_handle;
  if (fresh == nullptr) return nullptr;
  fresh->loop = &loop;
  fresh->next = kept_handle::first.load(std::memory_order_relaxed);
  while (!kept_handle::first.compare_exchange_weak(fresh->next, fresh, std::memory_order_acq_rel)) {
  }
  return fresh;
}

int sigchld::open(uv_loop_t& loop, std::function<void()> woken,
                  std::shared_ptr<close_barrier> barrier) noexcept {
  kept_handle* one = free_handle_of(loop);
  if (one == nullptr) return UV_ENOMEM;
  if (int error = uv_signal_init(&loop, &one->handle); error != 0) {
    one->is_taken.store(false, std::memory_order_release);
    return error;
  }
  woken_ = std::move(woken);
  one->barrier = std::move(barrier);
  one->born_here();
  one->handle.data = this;
  uv_unref(one->base());
  kept_ = one;
  return 0;
}

int sigchld::listen() noexcept {
  if (listening_ || uv_is_closing(kept_->base()) != 0) return 0;
  stop_those_of_the_parent();
  auto woken = call_owner<&sigchld::on_signal, uv_signal_t, int>;
  if (int error = uv_signal_start(&kept_->handle, woken, SIGCHLD); error != 0) return error;
  listening_ = true;
  kept_->listens_in.store(kept_->generation, std::memory_order_release);
  sys::sigaction(SIGCHLD, nullptr, &ours_);
  // If another of its handles was there first, libuv has installed nothing now. In a forked child these are
  // the parent's, and the handler went with the fork; elsewhere SIGCHLD may have been set to be ignored
  // since.
  if (!is_a_function(ours_) && learn_handler(*kept_->loop)) repair();
  return 0;
}

// In a copy a SIGCHLD is written into the pipe of each handle's loop, the parent's too, which would be woken
// for children that are not its own. So who listens in a copy stops what the parent listened with. That
// touches copied memory alone, and no epoll set, so uv_loop_fork may have been called or not.
void sigchld::stop_those_of_the_parent() noexcept {
  for (auto* one = kept_handle::first.load(std::memory_order_acquire); one != nullptr; one = one->next) {
    std::uint64_t since = one->listens_in.load(std::memory_order_acquire);
    if (since == 0 || !is_forked_copy(since)) continue;
    one->listens_in.store(0, std::memory_order_release);
    if (uv_is_closing(one->base()) == 0) uv_signal_stop(&one->handle);
  }
}

// Which function libuv installs can be seen only where it does so: on a signal that is at its default, for a
// moment. It is the same for all signals.
bool sigchld::learn_handler(uv_loop_t& loop) noexcept {
  struct ::sigaction before {};
  if (sys::sigaction(SIGURG, nullptr, &before) != 0) return false;
  if (is_a_function(before) || before.sa_handler == SIG_IGN) return false;  // not ours to disturb
  uv_handle<uv_signal_t> probe;
  auto init = [&](uv_signal_t* handle) { return uv_signal_init(&loop, handle); };
  if (probe.open(init, nullptr, nullptr) != 0) return false;
  if (uv_signal_start(
          probe.get(), [](uv_signal_t*, int) {}, SIGURG) != 0)
    return false;
  sys::sigaction(SIGURG, nullptr, &ours_);
  return is_a_function(ours_);
}

void sigchld::close() noexcept {
  if (kept_ == nullptr) return;
  kept_handle* gone = std::exchange(kept_, nullptr);
  listening_ = false;
  gone->handle.data = nullptr;
  if (gone->is_abandoned()) return uv_unref(gone->base());
  // A signal that was caught before the fork and not dispatched is the parent's to hear; its message is in a
  // pipe that the copied loop has left. libuv would wait for it for ever, turning, before it closes the
  // handle (libuv #3483).
  if (is_forked_copy(gone->generation)) gone->handle.dispatched_signals = gone->handle.caught_signals;
  gone->listens_in.store(0, std::memory_order_release);
  if (uv_is_closing(gone->base()) == 0) {
    uv_close(gone->base(), kept_handle::on_closed);
  } else {
    gone->barrier.reset();  // closed by the program; the next reaper of the loop looks whether libuv is done
  }
}

void sigchld::repair() const noexcept {
  struct ::sigaction now {};
  if (!listening_ || !is_a_function(ours_) || sys::sigaction(SIGCHLD, nullptr, &now) != 0) return;
  bool ours_to_mend = !is_a_function(now) || (same_handler(now, ours_) && leaves_no_status(now));
  if (ours_to_mend) sys::sigaction(SIGCHLD, &ours_, nullptr);
}

bool sigchld::is_ignored() noexcept {
  struct ::sigaction now {};
  return sys::sigaction(SIGCHLD, nullptr, &now) == 0 && leaves_no_status(now);
}

bool sigchld::is_heard() const noexcept {
  struct ::sigaction now {};
  if (!listening_ || sys::sigaction(SIGCHLD, nullptr, &now) != 0) return false;
  if (!is_a_function(now) || !same_handler(now, ours_) || leaves_no_status(now)) return false;
  sigset_t mask;
  sigemptyset(&mask);
  sys::thread_mask(SIG_BLOCK, nullptr, &mask);
  return sigismember(&mask, SIGCHLD) == 0;
}

sigchld_health sigchld::health(bool unheard) const noexcept {
  if (is_ignored()) return sigchld_health::ignored;
  sigset_t mask;
  sigset_t pending;
  sigemptyset(&mask);
  sigemptyset(&pending);
  sys::thread_mask(SIG_BLOCK, nullptr, &mask);
  sys::sigpending(&pending);
  if (sigismember(&mask, SIGCHLD) == 1 && sigismember(&pending, SIGCHLD) == 1) return sigchld_health::blocked;
  return listening_ && unheard ? sigchld_health::unheard : sigchld_health::healthy;
}

}  // namespace uvreap
