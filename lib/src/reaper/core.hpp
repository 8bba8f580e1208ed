// A reaper from start() to close(): the records, what works on them, and the handles that wake it. The essay
// on the model is at the head of core.cpp.
//
// It is shared, so that a callback may close or destroy the reaper: whoever calls out holds on to it.
#pragma once

#include <functional>
#include <memory>

#include "backends/fallback.hpp"
#include "child/captured_output.hpp"
#include "child/children.hpp"
#include "child/round.hpp"
#include "end/deadlines.hpp"
#include "end/terminations.hpp"
#include "make/spawns.hpp"
#include "orphans/orphans.hpp"
#include "os/claims.hpp"
#include "os/loop_thread.hpp"
#include "os/uv_handle.hpp"
#include "reaper/budget.hpp"
#include "reaper/inbox.hpp"
#include "uvreap/reaper.hpp"
#include "wake/poller.hpp"
#include "wake/sigchld.hpp"

namespace uvreap {

class core : public std::enable_shared_from_this<core> {
 public:
  core(claims&, const options&, std::shared_ptr<inbox>);  // may throw std::bad_alloc

  // 0, or UV_E*: then close() closes what was opened.
  [[nodiscard]] int open(uv_loop_t&, const std::shared_ptr<close_barrier>&) noexcept;
  // Every watch is released. In a forked copy no child is ours; the handles there are the copied loop's, and
  // closed after uv_loop_fork, or abandoned without a word to libuv.
  void close(bool abandon = false) noexcept;

  // As the public calls of these names say. A record that could not be watched is the caller's again.
  [[nodiscard]] int watch(pid_t, std::unique_ptr<child>&, const birth& expected = {}) noexcept;
  [[nodiscard]] int fork(pid_t* out, std::function<int()>& child_main, std::unique_ptr<child>&) noexcept;
  [[nodiscard]] int spawn(pid_t* out, const command&, std::unique_ptr<child>&);
  [[nodiscard]] int spawn_async(const command&, std::unique_ptr<child>&, started_callback);
  [[nodiscard]] int cancel_spawn(std::uint64_t serial) noexcept;
  [[nodiscard]] int release(pid_t) noexcept;
  [[nodiscard]] int detach(pid_t, std::uint64_t serial = 0) noexcept;  // serial 0: whichever
  [[nodiscard]] int exclude(pid_t) noexcept;
  [[nodiscard]] int kill(pid_t, int signum) noexcept;
  [[nodiscard]] int terminate(pid_t, std::chrono::milliseconds grace) noexcept;
  void on_sigchld() noexcept;
  [[nodiscard]] statistics stats() const noexcept;

  [[nodiscard]] bool is_copy() const noexcept { return is_forked_copy(generation_); }
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  [[nodiscard]] loop_thread& thread() noexcept { return thread_; }

  // For the tests: what the handles' callbacks come to.
  void wake(notice) noexcept;
  void on_time() noexcept;              // a deadline, a termination or an unclaimed zombie may be due
  [[nodiscard]] bool sweep() noexcept;  // true: work is left for the next turn

 private:
  // Where work comes from, in the order in which it takes turns.
  enum source : unsigned {
    from_hints = 1,
    from_names = 2,
    from_round = 4,
    from_changes = 8,
    from_orphans = 16,
    from_deadlines = 32,
    from_terminations = 64,
    from_posted = 128,
  };

  [[nodiscard]] int open_handles(uv_loop_t&) noexcept;
  [[nodiscard]] int poll_backend(int descriptor) noexcept;
  void on_backend() noexcept;
  void on_tick() noexcept;
  void on_check() noexcept;
  void sweep_next_turn() noexcept;
  void sweep_or_rest() noexcept;
  void set_alarm() noexcept;
  void settle() noexcept;

  [[nodiscard]] int identify(child&, pid_t) noexcept;
  [[nodiscard]] bool is_claimed_here(const child& one) const noexcept {
    return claims_.is_claimed_by(one.pid(), one.claim);
  }
  [[nodiscard]] bool is_still_there(const child&) const noexcept;
  void gives_way(child& older) noexcept;
  void take_back(child& there, child& wanted) noexcept;
  [[nodiscard]] bool deliver_reserved(pid_t, child& wanted) noexcept;
  [[nodiscard]] child& bind(std::unique_ptr<child>, int pidfd_error) noexcept;
  [[nodiscard]] std::unique_ptr<child> unbind(child&) noexcept;
  [[nodiscard]] child_state look_first(child&) noexcept;
  child& bind_newborn(std::unique_ptr<child>, int pidfd_error) noexcept;
  template <class Make>
  [[nodiscard]] int make_child(pid_t* out, std::unique_ptr<child>&, Make);
  [[nodiscard]] int open_spawns() noexcept;
  void deliver_started(spawns::outcome) noexcept;
  void give_up_spawns() noexcept;
  void hold(child&) noexcept;
  void let_go(child&) noexcept;
  void hint(child&, notice) noexcept;
  void discard(std::unique_ptr<child>) noexcept;
  void output_ended(pid_t, std::uint64_t serial) noexcept;

  // sweep.cpp
  [[nodiscard]] bool has_work(unsigned source) const noexcept;
  void look_for_work(unsigned sources) noexcept;
  void has_brought(source) noexcept;
  [[nodiscard]] int work(unsigned source) noexcept;
  [[nodiscard]] int look_at_next(look_queue&) noexcept;
  [[nodiscard]] bool collect(int delivered) noexcept;  // true: work is left
  [[nodiscard]] bool takes_any() const noexcept;
  [[nodiscard]] int take_any() noexcept;
  void collect(child&, int changes) noexcept;
  void collect_kept(child&) noexcept;
  void reaped(child&, wait_status, const ::rusage&) noexcept;
  void gone(child&) noexcept;
  void not_yet(child&) noexcept;
  void end(child&) noexcept;
  void take_posted() noexcept;
  [[nodiscard]] bool has_deliveries() const noexcept { return !ready_.empty() || !delivering_.empty(); }
  [[nodiscard]] int deliver() noexcept;
  [[nodiscard]] int deliver_started_ones(int most) noexcept;
  void deliver(child&) noexcept;
  void deliver_change(child&) noexcept;
  void settle_missed() noexcept;
  [[nodiscard]] std::uint64_t other_notices() const noexcept;

  claims& claims_;
  std::uint64_t generation_;
  std::uint32_t mark_;
  options options_;
  loop_thread thread_;
  statistics stats_;
  std::shared_ptr<close_barrier> barrier_;
  bool is_closed_ = false;

  // What records link to outlives them.
  terminations terminations_;
  deadlines deadlines_;
  reading reading_;
  fallback backend_;
  std::unique_ptr<orphans> orphans_;  // null but in any()
  round<change_tag> changes_;  // SIGCHLD says "stopped" and "ended" alike: those that asked are looked at
  look_queue hints_;
  look_queue names_;
  look_queue in_round_;
  look_queue in_changes_;
  bool has_more_names_ = false;
  ready_queue ready_;
  ready_queue delivering_;  // ready in the sweep before
  children living_;
  children collected_;  // undelivered: ready, reserved, or with output that is still read
  std::size_t holding_ = 0;

  unsigned with_work_ = 0;         // the sources that may have work; none that has is left out
  unsigned turn_of_ = from_hints;  // whose turn it is among them, and what is left of it
  int quantum_ = 0;
  bool is_busy_ = false;  // the last sweep took many steps
  // By the poller, in the sweep before: missed if no other notice comes by the next.
  std::uint64_t found_now_ = 0;
  std::uint64_t notices_then_ = 0;  // when the poller woke
  bool poller_found_ = false;
  std::uint64_t reaped_then_ = 0;  // in the sweep before
  bool unheard_ = false;

  sigchld sigchld_;
  poller poller_;
  alarm alarm_;  // for deadlines, terminations and unclaimed zombies
  std::shared_ptr<inbox> inbox_;
  std::shared_ptr<spawns> spawns_;     // null before the first spawn_async()
  uv_handle<uv_poll_t> backend_poll_;  // closed before the backend, whose descriptor it polls
  uv_handle<uv_check_t> check_;
  uv_handle<uv_idle_t> idle_;
  bool is_sweep_due_ = false;
};

}  // namespace uvreap
