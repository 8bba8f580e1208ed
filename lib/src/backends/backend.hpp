// Who ended? SIGCHLD says that some child did, never which; a backend names up to n children that may have
// ended. What it names is a hint: the sweep asks about each before it collects.
//
// Each kind has a file: ring (io_uring), pidfd (epoll), peek (waitid). fallback puts the best that works over
// peek and is what a reaper holds. A new backend is one file here and one line in fallback.cpp. A backend
// takes no status and runs no callback.
//
// Destroying one closes its descriptors and says nothing to the kernel objects behind them, so a forked copy
// may do it: what the parent armed stays armed.
//
// Tried and rejected: a uv_poll_t for each pidfd in the loop's own epoll set. It is 3 to 5 us quicker, but
// costs 8 system calls to arm and close, aborts the program in libuv when the user's epoll watches run out
// (ENOSPC), and makes every forked copy abort or spin.
#pragma once

#include <sys/types.h>

#include <memory>

#include "child/children.hpp"

namespace uvreap {

class backend {
 public:
  backend(const children& living, slot kind) noexcept : living_(living), kind_(kind) {}
  virtual ~backend() = default;

  bool is_woken = false;  // its descriptor was readable, and not all that it has is taken

  // The child's pidfd is open. 0, or UV_E*: why this backend cannot have the child, and then nothing changed.
  // A child that ended before it was armed is named like any other.
  [[nodiscard]] virtual int arm(child&) noexcept = 0;
  virtual void disarm(child&) noexcept = 0;                  // it has been named, or its status is taken
  virtual void cancel(child& one) noexcept { disarm(one); }  // it lives, and is no longer ours

  // SIGCHLD or a tick: can it be seen without a system call that there is something to take?
  virtual bool wake_by_other() noexcept { return false; }
  // True: there may be more to take. Cost: at most three system calls for each child that it may name, and a
  // few more; none if it was not woken.
  [[nodiscard]] virtual bool take(look_queue&, std::size_t limit) noexcept = 0;

  [[nodiscard]] virtual int polled() const noexcept = 0;  // what the loop polls for reading
  // In a forked copy that leaves its handles to the copied loop: that loop polls the descriptor again after
  // uv_loop_fork, and libuv aborts where epoll_ctl says EBADF.
  virtual void leave_polled_open() noexcept = 0;

  virtual void describe(statistics&) const noexcept = 0;

 protected:
  // What the kernel gives back with an event. An older child's event is not taken for a younger one's of that
  // number.
  static std::uint64_t tag_of(const child& one) noexcept {
    return std::uint64_t{one.armed_as} << 32 | static_cast<std::uint32_t>(one.id.pid);
  }
  [[nodiscard]] child* tagged(std::uint64_t tag) const noexcept {
    child* one = living_.find(static_cast<pid_t>(tag & 0xffff'ffff));
    return one != nullptr && one->on == kind_ && one->armed_as == tag >> 32 ? one : nullptr;
  }
  [[nodiscard]] std::uint32_t next_arming() noexcept { return ++last_armed_as_; }

 private:
  const children& living_;
  slot kind_;
  std::uint32_t last_armed_as_ = 0;
};

// Each is tried on a real process before it is called good. 0, or UV_E*: why it is not available. If out is a
// backend, that one stays, and the new one stands before it.
[[nodiscard]] int make_ring(const children&, std::unique_ptr<backend>& out) noexcept;
[[nodiscard]] int make_pidfd(const children&, claims&, std::unique_ptr<backend>& out) noexcept;

}  // namespace uvreap
