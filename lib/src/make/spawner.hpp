// Where children are made: by a thread for spawn_async(), in the order in which it was asked, or by the
// caller of spawn() itself.
//
// The thread is one for the process, made with the first call, and it never ends: a child with a parent-death
// signal is killed when the thread that made it ends (prctl(2)), and what the thread has made is nobody
// else's by __WNOTHREAD, so any() on the main thread never sees it. Not libuv's pool: one that is full of
// other work started a child 517 ms late, and a copy that is forked while the pool works never ends its
// uv_run. And not two threads: they made 13 to 40 % more children a second, at the same lateness of the loop.
//
// It lives by the generation of the process (os/claims.hpp). A forked copy has no such thread, and finds the
// lock and the queues as they were at the fork: it leaves them, and makes its own.
//
// The lock is held for changes of queues and of descriptors, and never while a child is made. So a fork that
// holds it (the pause) sees every descriptor that is on its way to a child, and its copy closes them: else a
// reader would wait for the end of a pipe as long as that copy lives.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "child/queue.hpp"
#include "make/prepared_command.hpp"
#include "os/birth.hpp"

namespace uvreap {

class spawns;
struct asked;
struct order_tag {};

// A child that is to be made.
struct order : hook<order_tag> {
  // A copy of the command. It must be sound. May throw std::bad_alloc.
  order(command wanted, std::shared_ptr<spawns> asker)
      : what(std::move(wanted)), ready(what, moment::later), whose(std::move(asker)) {}

  command what;
  prepared_command ready;
  std::shared_ptr<spawns> whose;
  bool is_cancelled = false;  // its child is not wanted any more

  // What came of it.
  int error = 0;  // UV_E*
  identity made{};
  int pidfd_error = 0;

  asked* by = nullptr;  // the loop's
};
using order_queue = queue<order, order_tag>;

class spawner {
 public:
  // Null: no memory. It has no thread before start().
  [[nodiscard]] static spawner* of_this_process() noexcept;
  [[nodiscard]] int start() noexcept;  // 0 again; UV_EAGAIN: no more threads

  // Takes the caller's descriptors, and queues it. UV_E* of that: then it is the caller's still.
  [[nodiscard]] int add(std::unique_ptr<order>&) noexcept;

  // On the calling thread, which waits for it. 0 or errno.
  [[nodiscard]] int make_now(prepared_command&, pid_t* out) noexcept;

  // What follows is for whoever has asked, under the lock.
  [[nodiscard]] std::mutex& lock() noexcept { return lock_; }
  void withdraw_all(const spawns& whose, order_queue& to) noexcept;
  [[nodiscard]] std::unique_ptr<order> withdraw(const asked& by) noexcept;  // null: it does not wait here
  [[nodiscard]] order* being_made(const spawns& whose) noexcept;            // null: none of these

  // Around a fork.
  class pause {
   public:
    pause() noexcept;
    void close_descriptors_in_copy() noexcept;

   private:
    spawner* held_ = nullptr;
    std::unique_lock<std::mutex> lock_;
  };

 private:
  spawner() = default;
  void run() noexcept;
  static void withdrawn(order&) noexcept;

  std::uint64_t generation_ = 0;
  std::mutex lock_;
  std::condition_variable is_asked_;
  bool has_thread_ = false;
  order_queue waiting_;
  order* being_made_ = nullptr;
  queue<child_stdio, transit_tag> in_transit_;
};

}  // namespace uvreap
