// Records on their way from other threads to the loop's. The one place of a reaper that threads share.
//
// The posting thread makes the record, and the loop's thread watches it, a few in each sweep.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "child/child.hpp"
#include "os/wakeup.hpp"

namespace uvreap {

class inbox {
 public:
  inbox() = default;
  ~inbox() { drop(); }  // never in a copy

  [[nodiscard]] int open(uv_loop_t&, std::function<void()> posted,
                         const std::shared_ptr<close_barrier>&) noexcept;
  void close(bool in_copy) noexcept;  // what waits is dropped; in a copy the lock may be held for ever

  void post(std::unique_ptr<child>) noexcept;  // any thread; dropped while closed

  [[nodiscard]] bool has_work() const noexcept { return !arrived_.empty(); }
  [[nodiscard]] std::unique_ptr<child> take() noexcept {  // null: there is none
    return std::unique_ptr<child>(arrived_.pop_front());
  }

 private:
  void on_posted() noexcept;
  void drop() noexcept;

  std::mutex lock_;  // held for a push or a splice, never during a call of foreign code
  look_queue waiting_;
  look_queue arrived_;  // the loop's thread alone
  wakeup wakeup_;
  std::function<void()> posted_;
};

}  // namespace uvreap
