// A reaper from start() to close(): its handles, their callbacks, and what they work on.
//
// Hear, collect, tell: a SIGCHLD, a tick of the poller or a hand-over marks a pass due (turn); the pass runs
// in the check phase. It is shared, so that a callback may close or destroy the reaper: the pass that called
// it holds on.
#pragma once

#include <functional>
#include <memory>

#include "child/captured_output.hpp"
#include "backends/backend.hpp"
#include "reaper/inbox.hpp"
#include "wake/poller.hpp"
#include "os/loop_thread.hpp"
#include "reaper/sweep.hpp"
#include "child/ready_list.hpp"
#include "os/claims.hpp"
#include "wake/sigchld.hpp"
#include "reaper/turn.hpp"
#include "uvreap/reaper.hpp"
#include "child/watch_table.hpp"

namespace uvreap {

class running : public std::enable_shared_from_this<running> {
 public:
  running(registry&, const options&, std::unique_ptr<exit_index>, std::shared_ptr<hand_overs>) noexcept;
  running(const running&) = delete;
  running& operator=(const running&) = delete;

  // 0, or UV_E*: then what was opened is closed by the destructor.
  [[nodiscard]] int open(uv_loop_t&, const std::shared_ptr<void>& farewell) noexcept;
  void close() noexcept;          // every watch is released
  void close_in_copy() noexcept;  // after uv_loop_fork: the handles are the copied loop's, the children are
                                  // not ours
  void leave_to_the_loop() noexcept;  // before it: without a word to libuv

  // As the public calls of these names say. watch() leaves what it was given where it fails.
  [[nodiscard]] int watch(pid_t, uvreap::watch&) noexcept;
  [[nodiscard]] int fork(pid_t* out, std::function<int()>& child_main, uvreap::watch&);
  [[nodiscard]] int spawn(pid_t* out, const command&, uvreap::watch&);
  [[nodiscard]] int release(pid_t) noexcept;
  [[nodiscard]] int detach(pid_t, const which_watch&) noexcept;
  [[nodiscard]] int exclude(pid_t) noexcept;
  [[nodiscard]] int kill(pid_t, int signum) noexcept;
  [[nodiscard]] int terminate(pid_t, std::chrono::milliseconds grace) noexcept;
  [[nodiscard]] statistics stats() const noexcept;

  [[nodiscard]] bool is_copy() const noexcept { return registry_.origin() != origin_; }
  [[nodiscard]] std::uint64_t origin() const noexcept { return origin_; }
  [[nodiscard]] loop_thread& thread() noexcept { return thread_; }

 private:
  void close_handles() noexcept;
  void on_sigchld() noexcept;
  void on_index() noexcept;
  void on_tick() noexcept;
  void on_check() noexcept;
  void on_posted() noexcept;
  void on_grace() noexcept;
  void on_output_read() noexcept;

  [[nodiscard]] int take_back(pid_t, uvreap::watch& there, uvreap::watch& with) noexcept;
  template <class Make>
  [[nodiscard]] int make_child(pid_t* out, uvreap::watch&, Make);
  [[nodiscard]] bool make_room() noexcept;
  void add(watch_table::place, pid_t) noexcept;
  uvreap::watch remove(pid_t) noexcept;
  void hint(pid_t, notice) noexcept;
  [[nodiscard]] int own_all(uv_loop_t&, const std::shared_ptr<void>& farewell) noexcept;
  [[nodiscard]] int poll_index(int descriptor) noexcept;
  void go_on_when_due() noexcept;
  void await_grace() noexcept;
  void settle() noexcept;

  registry& registry_;
  std::uint64_t origin_;
  options options_;
  loop_thread thread_;
  statistics stats_;
  bool closed_ = false;

  std::unique_ptr<exit_index> index_;
  watch_table table_;
  ready_list ready_;
  endings endings_;
  pass pass_;

  sigchld sigchld_;
  uv_handle<uv_poll_t> index_poll_;  // closed before the index, whose descriptor it polls
  uv_handle<uv_timer_t> grace_;      // any(): the next unclaimed zombie's ends
  reading reading_;
  idle_poller poller_;
  turn turn_;
  std::shared_ptr<hand_overs> hand_overs_;
};

}  // namespace uvreap
