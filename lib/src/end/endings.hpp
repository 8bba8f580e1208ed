// What ends children that do not end by themselves: deadlines, and terminations that are under way.
//
// A termination sends SIGTERM and SIGCONT (a stopped child would not see the other), then SIGKILL when its
// grace is over. If the child leads a process group, the whole group is meant, and survivors of the leader
// too: a pidfd of the leader is kept and the group is signalled through it (PIDFD_SIGNAL_PROCESS_GROUP,
// Linux 6.9). That can hit nobody else, even after the leader was reaped, and ESRCH says that the group is
// empty. A number would not do: a pgid is recycled as soon as its group is empty, and emptiness cannot be
// seen by kill(-pgid, 0), which finds a lone zombie leader.
//
// On older kernels, and where no pidfd is to be had, the leader's zombie keeps the number: its exit is told
// from waitid(WNOWAIT) when it happens, and the zombie is reaped when SIGKILL has been sent.
//
// A termination that is under way holds the loop; a deadline does not.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>

#include "os/descriptor.hpp"
#include "os/claims.hpp"
#include "os/uv_handle.hpp"
#include "child/watch_table.hpp"

namespace uvreap {

class endings {
 public:
  endings(registry&, watch_table&) noexcept;
  ~endings() { close(); }
  endings(const endings&) = delete;
  endings& operator=(const endings&) = delete;

  [[nodiscard]] int open(uv_loop_t&, const std::shared_ptr<void>& farewell) noexcept;
  void close() noexcept;  // what is under way is left as it is; nobody is killed
  void leave_to_the_loop() noexcept;

  // 0: under way. UV_ESRCH: it is no child of ours any more. UV_EALREADY. UV_ENOMEM.
  [[nodiscard]] int begin(pid_t, std::chrono::milliseconds grace) noexcept;

  [[nodiscard]] bool make_room() noexcept;                // for one deadline
  void watched(pid_t, watch&) noexcept;                   // its deadline counts from now
  void released(pid_t, const watch&) noexcept;            // neither deadline nor termination any more
  void forgotten(pid_t, const watch&) noexcept;           // no deadline any more; a termination goes on
  void collected(pid_t, const watch&) noexcept;           // its status is taken
  [[nodiscard]] bool keeps_zombie(pid_t) const noexcept;  // the status is to be looked at, not taken

 private:
  struct termination {
    endings* all = nullptr;
    std::list<termination>::iterator self{};
    pid_t pid = 0;
    owned_descriptor pidfd;
    bool group = false;
    bool by_number = false;  // the zombie keeps it
    bool leader_ended = false;
    std::uint64_t kill_at_ms = 0;
    uv_handle<uv_timer_t> timer;

    termination() = default;
    termination(const termination&) = delete;
    termination& operator=(const termination&) = delete;

    [[nodiscard]] int start() noexcept;
    [[nodiscard]] int send(int signum) noexcept;
    [[nodiscard]] bool is_over() noexcept;
    void wait_on() noexcept;
    void end() noexcept;
  };

  [[nodiscard]] bool is_copy() const noexcept { return registry_.origin() != origin_; }
  [[nodiscard]] static std::uint64_t in(std::uint64_t ms) noexcept;  // by the loop's clock
  [[nodiscard]] termination* find(pid_t) const noexcept;
  void drop(termination&) noexcept;
  void on_deadline() noexcept;
  void await_deadline() noexcept;
  void drop_deadline(pid_t, const watch&) noexcept;

  registry& registry_;
  std::uint64_t origin_;
  watch_table& table_;
  uv_loop_t* loop_ = nullptr;
  std::shared_ptr<void> farewell_;

  std::list<termination> under_way_;
  std::map<pid_t, termination*> by_leader_;  // while the leader lives: after that its number may be another's
  using deadline = std::pair<std::uint64_t, pid_t>;  // in the loop's milliseconds
  std::set<deadline> deadlines_;
  std::set<deadline>::node_type spare_;
  uv_handle<uv_timer_t> next_deadline_;
};

}  // namespace uvreap
