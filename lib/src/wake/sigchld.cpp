#include "wake/sigchld.hpp"

#include <array>
#include <atomic>
#include <cstdint>

#include "os/claims.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

// The handles that listen, with the process in which they began to. libuv's own table of them is copied by a
// fork, and there a SIGCHLD is written into the pipe of each handle's loop; but that of a copied loop is the
// parent's, which would be woken for children that are not its own, and where the handle has gone meanwhile,
// read freed memory. So whoever listens in a copy stops what the parent listened with.
//
// Slots and not a list: a fork may come while another thread is in here. Reapers beyond them are not stopped.
struct listener {
  std::atomic<std::uint64_t> origin{0};  // 0: free
  std::atomic<uv_signal_t*> handle{nullptr};
};
std::array<listener, 256> listeners;

void remember(uv_signal_t* handle) noexcept {
  std::uint64_t here = registry::of_this_process()->origin();
  for (listener& slot : listeners) {
    std::uint64_t free = 0;
    if (!slot.origin.compare_exchange_strong(free, here)) continue;
    slot.handle.store(handle);
    return;
  }
}

void forget(uv_signal_t* handle) noexcept {
  if (handle == nullptr) return;
  for (listener& slot : listeners) {
    uv_signal_t* there = handle;
    if (slot.handle.compare_exchange_strong(there, nullptr)) return slot.origin.store(0);
  }
}

// Touches the copied memory alone, and no epoll set, so uv_loop_fork may have been called or not.
void stop_those_of_the_parent() noexcept {
  std::uint64_t here = registry::of_this_process()->origin();
  for (listener& slot : listeners) {
    std::uint64_t origin = slot.origin.load();
    if (origin == 0 || origin == here) continue;
    uv_signal_t* handle = slot.handle.exchange(nullptr);
    slot.origin.store(0);
    if (handle != nullptr && uv_is_closing(reinterpret_cast<uv_handle_t*>(handle)) == 0) {
      uv_signal_stop(handle);
    }
  }
}

bool leaves_no_status(const struct ::sigaction& action) noexcept {
  bool set_to_ignore = (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
  return set_to_ignore || (action.sa_flags & SA_NOCLDWAIT) != 0;
}

bool is_a_function(const struct ::sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 ||
         (action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL);
}

bool same_handler(const struct ::sigaction& one, const struct ::sigaction& other) noexcept {
  return one.sa_handler == other.sa_handler;  // in one union with sa_sigaction
}

}  // namespace

int sigchld::open(uv_loop_t& loop, void* data, uv_signal_cb heard, std::shared_ptr<void> farewell) noexcept {
  heard_ = heard;
  return handle_.open([&](uv_signal_t* handle) { return uv_signal_init(&loop, handle); }, data,
                      std::move(farewell));
}

int sigchld::listen() noexcept {
  if (listening_) return 0;
  stop_those_of_the_parent();
  if (int error = uv_signal_start(handle_.get(), heard_, SIGCHLD); error != 0) return error;
  listening_ = true;
  remember(handle_.get());
  sys::sigaction(SIGCHLD, nullptr, &ours_);
  // If another of its handles was there first, libuv has installed nothing now. In a forked child these are
  // the parent's, and the handler went with the fork; elsewhere somebody may have set SIGCHLD to be ignored
  // since.
  if (!is_a_function(ours_) && learn_handler(*handle_.get()->loop)) repair();
  return 0;
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
  forget(handle_.get());
  handle_.close();
}

void sigchld::close_in_copy() noexcept {
  // A signal that was caught before the fork and not dispatched is the parent's to hear; its message is in a
  // pipe that the copied loop has left. libuv would wait for it for ever, turning, before it closes the
  // handle (libuv #3483).
  if (handle_) handle_.get()->dispatched_signals = handle_.get()->caught_signals;
  close();
}

void sigchld::repair() const noexcept {
  struct ::sigaction now {};
  if (!listening_ || !is_a_function(ours_) || sys::sigaction(SIGCHLD, nullptr, &now) != 0) return;
  bool ours_to_mend = !is_a_function(now) || (same_handler(now, ours_) && leaves_no_status(now));
  if (ours_to_mend) sys::sigaction(SIGCHLD, &ours_, nullptr);
}

bool sigchld::ignored() noexcept {
  struct ::sigaction now {};
  return sys::sigaction(SIGCHLD, nullptr, &now) == 0 && leaves_no_status(now);
}

sigchld_health sigchld::health(bool unheard) const noexcept {
  if (ignored()) return sigchld_health::ignored;
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
