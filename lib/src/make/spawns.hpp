// What one reaper has asked the spawner for: on its way there, being made, and on its way back.
//
// Its orders share it, so it outlives its reaper where a child is being made at that moment. That order is
// cancelled: the spawner ends its child, and only then are the loop and the close barrier free. The spawner
// does not touch a loop whose reaper is closed, for that may be gone, so this is asked for by a timer.
#pragma once

#include <functional>
#include <memory>

#include "child/child.hpp"
#include "make/spawner.hpp"
#include "os/uv_handle.hpp"
#include "os/wakeup.hpp"

namespace uvreap {

struct asked_tag {};

// Of a child that is to be made, what is the loop's: no other thread touches it.
struct asked : hook<asked_tag> {
  std::unique_ptr<child> record{};
  started_callback started{};
};

class spawns : public std::enable_shared_from_this<spawns> {
 public:
  explicit spawns(spawner& by) noexcept : by_(by) {}

  [[nodiscard]] int open(uv_loop_t&, std::function<void()> come_back,
                         const std::shared_ptr<close_barrier>&) noexcept;

  // UV_E*: both are the caller's still.
  [[nodiscard]] int ask(std::unique_ptr<order>&, std::unique_ptr<asked>&) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }  // asked for and not taken

  struct outcome {
    std::unique_ptr<asked> from;
    int error;      // UV_E*
    identity made;  // if there is none
    int pidfd_error;
  };
  [[nodiscard]] bool has_work() const noexcept { return !arrived_.empty(); }
  [[nodiscard]] outcome take() noexcept;  // our ends of its pipes are handed over

  [[nodiscard]] std::unique_ptr<asked> cancel(std::uint64_t serial) noexcept;  // null: it is begun, or made

  // Then all that is not being made is there to be taken, with UV_ECANCELED where it is not made. The result
  // is what was asked for the one that is being made, or null.
  [[nodiscard]] std::unique_ptr<asked> close() noexcept;
  // In a forked copy, where the lock may be held for ever and a queue be half changed.
  void abandon() noexcept;

  void give_back(std::unique_ptr<order>) noexcept;  // the spawner, under its lock

 private:
  void on_given_back() noexcept;
  void on_tick() noexcept;

  spawner& by_;
  std::size_t size_ = 0;
  queue<asked, asked_tag> asked_;  // owned
  bool is_open_ = false;           // under the lock, and so is given_back_
  order_queue given_back_;
  order_queue arrived_;
  std::function<void()> come_back_;
  wakeup wakeup_;
  uv_handle<uv_timer_t> until_ended_;
  std::shared_ptr<spawns> self_{};  // until then
};

}  // namespace uvreap
