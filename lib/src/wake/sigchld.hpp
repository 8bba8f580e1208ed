// The SIGCHLD handle. It wakes; it does not count: one signal may stand for many children, and for none of
// ours.
//
// libuv installs its handler with the first handle of the process for a signal, over whatever was there, and
// sets SIG_DFL with the last (libuv #154). Other uv_signal_t on SIGCHLD, uv_spawn's among them, live beside
// this one.
#pragma once

#include <signal.h>

#include <memory>

#include "os/uv_handle.hpp"
#include "uvreap/statistics.hpp"

namespace uvreap {

class sigchld {
 public:
  [[nodiscard]] int open(uv_loop_t&, void* data, uv_signal_cb, std::shared_ptr<void> farewell) noexcept;
  [[nodiscard]] int listen() noexcept;  // once it does, it goes on until close; again is 0
  [[nodiscard]] bool listening() const noexcept { return listening_; }

  void close() noexcept;
  void close_in_copy() noexcept;
  void leave_to_the_loop() noexcept { handle_.leave_to_the_loop(); }

  // If somebody set SIGCHLD to be ignored, or to its default, since we listen: libuv's handler is put back. A
  // handler that somebody installed stays: two libraries that put theirs back in turn are worse than a
  // poller.
  void repair() const noexcept;

  [[nodiscard]] static bool ignored() noexcept;  // SIG_IGN or SA_NOCLDWAIT: children leave no status
  [[nodiscard]] sigchld_health health(bool unheard) const noexcept;

 private:
  [[nodiscard]] bool learn_handler(uv_loop_t&) noexcept;

  uv_handle<uv_signal_t> handle_;
  uv_signal_cb heard_ = nullptr;
  bool listening_ = false;
  struct ::sigaction ours_ {};  // libuv's handler, as it stood after listen()
};

}  // namespace uvreap
