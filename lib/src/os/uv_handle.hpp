// One owner for each libuv handle. libuv keeps the address until the close callback has run, so the memory is
// the handle's own: close() cuts its data off, asks libuv to close it, and the close callback frees it.
//
// A handle holds on to a farewell, something that many handles share: when the last of them is freed, its
// deleter runs. That is how "libuv has let go of everything" is known without counting.
#pragma once

#include <uv.h>

#include <cerrno>
#include <memory>
#include <new>
#include <utility>

namespace uvreap {

template <class Handle>
class uv_handle {
 public:
  uv_handle() noexcept = default;
  ~uv_handle() { close(); }
  uv_handle(const uv_handle&) = delete;
  uv_handle& operator=(const uv_handle&) = delete;

  // init is the libuv call that makes the handle (uv_timer_init with its loop bound), taking Handle*. The
  // handle is unref'd. 0, UV_ENOMEM or what init said; after a failure there is no handle.
  template <class Init>
  [[nodiscard]] int open(Init init, void* data, std::shared_ptr<void> farewell) noexcept {
    close();
    auto* fresh = new (std::nothrow) box{{}, std::move(farewell)};
    if (fresh == nullptr) return UV_ENOMEM;
    if (int error = init(&fresh->handle); error != 0) {
      delete fresh;
      return error;
    }
    box_ = fresh;
    box_->handle.data = data;
    uv_unref(reinterpret_cast<uv_handle_t*>(&box_->handle));
    return 0;
  }

  void close() noexcept {
    if (box_ == nullptr) return;
    box_->handle.data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&box_->handle),
             [](uv_handle_t* handle) { delete reinterpret_cast<box*>(handle); });
    box_ = nullptr;
  }

  // In a forked copy: the loop's queues link to the handle, so its memory stays with the copied loop.
  void leave_to_the_loop() noexcept {
    if (box_ == nullptr) return;
    box_->handle.data = nullptr;
    uv_unref(reinterpret_cast<uv_handle_t*>(&box_->handle));  // it must not hold that loop for ever
    box_ = nullptr;
  }

  [[nodiscard]] Handle* get() const noexcept { return box_ == nullptr ? nullptr : &box_->handle; }
  explicit operator bool() const noexcept { return box_ != nullptr; }

 private:
  struct box {
    Handle handle;  // first: libuv's pointer to it is the pointer to the box
    std::shared_ptr<void> farewell;
  };
  box* box_ = nullptr;
};

}  // namespace uvreap
