// Makes the loop run a pass in its next check phase, without sleeping before it.
//
// Both handles are needed: with the check alone, a pass that is marked due from a timer, prepare, check or
// close callback, or before uv_run, sleeps until the next event. uv_idle_t is what keeps the poll from
// sleeping; it runs on every turn while it is started (microsoft/CCF #1626), so it is stopped as soon as no
// work is left.
#pragma once

#include <memory>

#include "os/uv_handle.hpp"

namespace uvreap {

class turn {
 public:
  [[nodiscard]] int open(uv_loop_t& loop, void* data, uv_check_cb in_check,
                         const std::shared_ptr<void>& farewell) noexcept {
    in_check_ = in_check;
    int error = check_.open([&](uv_check_t* handle) { return uv_check_init(&loop, handle); }, data, farewell);
    if (error != 0) return error;
    return idle_.open([&](uv_idle_t* handle) { return uv_idle_init(&loop, handle); }, data, farewell);
  }

  void due() noexcept {  // from anywhere on the loop's thread; again is nothing
    uv_check_start(check_.get(), in_check_);
    uv_idle_start(idle_.get(), [](uv_idle_t* handle) {
      if (handle->data == nullptr) uv_idle_stop(handle);  // left to a copied loop
    });
  }

  void done() noexcept {
    uv_check_stop(check_.get());
    uv_idle_stop(idle_.get());
  }

  void close() noexcept {
    check_.close();
    idle_.close();
  }

  void leave_to_the_loop() noexcept {
    check_.leave_to_the_loop();
    idle_.leave_to_the_loop();
  }

 private:
  uv_handle<uv_check_t> check_;
  uv_handle<uv_idle_t> idle_;
  uv_check_cb in_check_ = nullptr;
};

}  // namespace uvreap
