// One owner for each libuv handle, the way its callbacks find that owner, and what a forked copy does with
// it.
//
// libuv keeps the address until the close callback has run, so the memory is the handle's own: close() cuts
// its data off, asks libuv to close it, and the close callback frees it. Programs also end a loop by
// uv_walk() with uv_close() on all that is there; then no close callback of ours comes, and uv_is_closing()
// stays true for good, so whether libuv is done with a handle is learnt by looking for it on its loop.
//
// In a forked copy the loop's queues still link to the handle, and its epoll set may be the parent's. There a
// callback only stops its handle, and the memory stays with the copied loop until close() after
// uv_loop_fork().
#pragma once

#include <uv.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "os/claims.hpp"

namespace uvreap {

// What the handles of one start() share. When libuv has let go of the last of them, the calls are made, from
// its close callback. One that the program has closed itself makes none; the handle that close(done) adds for
// them is there for that.
struct close_barrier {
  std::vector<std::function<void()>> done;
  bool is_abandoned = false;  // in a forked copy: to close a handle is to leave it to the copied loop
};

template <class Handle>
struct handle_box {
  Handle handle{};  // first: libuv's pointer to it is the pointer to the box
  std::shared_ptr<close_barrier> barrier{};
  std::uint64_t generation = 0;
  const std::atomic<std::uint64_t>* generation_now = nullptr;  // differs in a forked copy

  void born_here() noexcept {
    claims& here = *claims::of_this_process();
    generation = here.generation();
    generation_now = &here.place_of_generation();
  }
  [[nodiscard]] bool is_abandoned() const noexcept { return barrier != nullptr && barrier->is_abandoned; }
  void leave_barrier() noexcept {
    auto left = std::move(barrier);
    if (left == nullptr || left.use_count() != 1 || generation_now->load() != generation) return;
    for (auto& call : left->done) call();
  }
};

[[nodiscard]] bool is_on_its_loop(uv_handle_t*) noexcept;  // costs a uv_walk

inline void stop(uv_check_t* handle) noexcept { uv_check_stop(handle); }
inline void stop(uv_idle_t* handle) noexcept { uv_idle_stop(handle); }
inline void stop(uv_timer_t* handle) noexcept { uv_timer_stop(handle); }
inline void stop(uv_poll_t* handle) noexcept { uv_poll_stop(handle); }
inline void stop(uv_signal_t* handle) noexcept { uv_signal_stop(handle); }
inline void stop(uv_async_t*) noexcept {}
inline void stop(uv_pipe_t* handle) noexcept { uv_read_stop(reinterpret_cast<uv_stream_t*>(handle)); }

// Null: cut off, or in a forked copy.
template <class Owner, class Handle>
[[nodiscard]] Owner* owner_of(Handle* handle) noexcept {
  auto* box = reinterpret_cast<handle_box<Handle>*>(handle);
  bool is_in_copy = box->generation_now->load() != box->generation;
  return is_in_copy ? nullptr : static_cast<Owner*>(handle->data);
}

template <class Owner>
Owner class_of(void (Owner::*)() noexcept);  // declared for its type alone

// A libuv callback that calls a member function of the handle's owner.
template <auto Member, class Handle, class... Unused>
void call_owner(Handle* handle, Unused...) noexcept {
  using owner = decltype(class_of(Member));
  auto* box = reinterpret_cast<handle_box<Handle>*>(handle);
  if (handle->data == nullptr || box->generation_now->load() != box->generation) return stop(handle);
  (static_cast<owner*>(handle->data)->*Member)();
}

// A libuv callback that does nothing: what is wanted is that the handle runs.
template <class Handle>
void only_run(Handle* handle) noexcept {
  auto* box = reinterpret_cast<handle_box<Handle>*>(handle);
  if (box->generation_now->load() != box->generation) stop(handle);
}

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
  [[nodiscard]] int open(Init init, void* owner, const std::shared_ptr<close_barrier>& barrier) noexcept {
    close();
    auto* fresh = new (std::nothrow) box;
    if (fresh == nullptr) return UV_ENOMEM;
    if (int error = init(&fresh->handle); error != 0) {
      delete fresh;
      return error;
    }
    fresh->barrier = barrier;
    fresh->born_here();
    fresh->handle.data = owner;
    uv_unref(base(fresh));
    box_ = fresh;
    return 0;
  }

  void close() noexcept {
    if (box_ == nullptr) return;
    if (box_->is_abandoned()) return leave();
    box* gone = std::exchange(box_, nullptr);
    gone->handle.data = nullptr;
    if (uv_is_closing(base(gone)) == 0) return uv_close(base(gone), on_closed);
    if (!is_on_its_loop(base(gone))) {
      delete gone;
    } else if (base(gone)->close_cb == nullptr) {
      base(gone)->close_cb = on_closed;  // closed with no callback, and libuv is not done with it
    }
  }

  // To the copied loop, where it is never called, and must not hold that loop for ever.
  void leave() noexcept {
    if (box_ == nullptr) return;
    box* left = std::exchange(box_, nullptr);
    left->handle.data = nullptr;
    uv_unref(base(left));
  }

  [[nodiscard]] Handle* get() const noexcept { return box_ == nullptr ? nullptr : &box_->handle; }
  // Null also where the program has closed it: that one must not be started.
  [[nodiscard]] Handle* get_open() const noexcept {
    auto* handle = reinterpret_cast<uv_handle_t*>(box_);
    return handle == nullptr || uv_is_closing(handle) != 0 ? nullptr : &box_->handle;
  }
  explicit operator bool() const noexcept { return get_open() != nullptr; }

 private:
  using box = handle_box<Handle>;

  static uv_handle_t* base(box* whose) noexcept { return reinterpret_cast<uv_handle_t*>(&whose->handle); }
  static void on_closed(uv_handle_t* handle) noexcept {
    std::unique_ptr<box> gone(reinterpret_cast<box*>(handle));
    gone->leave_barrier();
  }

  box* box_ = nullptr;
};

}  // namespace uvreap
