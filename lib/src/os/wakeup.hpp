// Wakes a loop from other threads, one at a time: whoever sends holds a lock of the owner's.
//
// A copy that was forked in the middle of a send has a handle that libuv waits for for ever when it is closed
// (uv__async_spin: the thread that sends is not there). So that is noted, and in such a copy the handle is
// left on the copied loop, which libuv then calls busy.
#pragma once

#include <atomic>
#include <memory>

#include "os/uv_handle.hpp"

namespace uvreap {

class wakeup {
 public:
  template <auto Member, class Owner>
  [[nodiscard]] int open(uv_loop_t& loop, Owner* owner,
                         const std::shared_ptr<close_barrier>& barrier) noexcept {
    auto init = [&](uv_async_t* handle) {
      return uv_async_init(&loop, handle, call_owner<Member, uv_async_t>);
    };
    is_sending_ = false;
    return async_.open(init, owner, barrier);
  }

  void send() noexcept {
    is_sending_ = true;
    uv_async_send(async_.get());
    is_sending_ = false;
  }

  void close() noexcept { async_.close(); }  // nobody sends
  void close_in_copy() noexcept { is_sending_ ? async_.leave() : async_.close(); }

  explicit operator bool() const noexcept { return static_cast<bool>(async_); }

 private:
  uv_handle<uv_async_t> async_;
  std::atomic<bool> is_sending_ = false;
};

}  // namespace uvreap
