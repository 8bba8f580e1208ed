// The SIGCHLD handle. It wakes; it does not count: one signal may stand for many children, and for none of
// ours.
//
// libuv installs its handler with the first handle of the process for a signal, over whatever was there, and
// sets SIG_DFL with the last (libuv #154). Other uv_signal_t on SIGCHLD, uv_spawn's among them, live beside
// this one.
//
// The memory of the handle is kept for later reapers of its loop and never freed. libuv's table of signal
// handles is copied by a fork, so a plain forked worker that never touches its loop still writes the handle's
// address into the pipe that it shares with the parent's loop, as long as it lives: that address must name a
// handle of that loop for ever. One that is closed has no signal number, and libuv drops the message.
#pragma once

#include <signal.h>
#include <uv.h>

#include <functional>
#include <memory>

#include "os/uv_handle.hpp"
#include "uvreap/statistics.hpp"

namespace uvreap {

class sigchld {
 public:
  sigchld() noexcept = default;
  ~sigchld() { close(); }
  sigchld(const sigchld&) = delete;
  sigchld& operator=(const sigchld&) = delete;

  [[nodiscard]] int open(uv_loop_t&, std::function<void()> woken, std::shared_ptr<close_barrier>) noexcept;
  [[nodiscard]] int listen() noexcept;  // once it does, it goes on until close; again is 0

  void close() noexcept;

  // If SIGCHLD was set to be ignored, or to its default, since we listen: libuv's handler is put back. A
  // handler that other code installed stays: two libraries that put theirs back in turn are worse than a
  // poller.
  void repair() const noexcept;

  [[nodiscard]] static bool is_ignored() noexcept;  // SIG_IGN or SA_NOCLDWAIT: children leave no status
  // It reaches libuv's handler: neither blocked in this thread nor ignored, and no other code has its own.
  [[nodiscard]] bool is_heard() const noexcept;
  [[nodiscard]] sigchld_health health(bool unheard) const noexcept;

 private:
  struct kept_handle;

  [[nodiscard]] static kept_handle* free_handle_of(uv_loop_t&) noexcept;
  static void stop_those_of_the_parent() noexcept;
  [[nodiscard]] bool learn_handler(uv_loop_t&) noexcept;
  void on_signal() noexcept { woken_(); }

  kept_handle* kept_ = nullptr;
  std::function<void()> woken_;
  bool listening_ = false;
  struct ::sigaction ours_ {};  // libuv's handler, as it stood after listen()
};

}  // namespace uvreap
