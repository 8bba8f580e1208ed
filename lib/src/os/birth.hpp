// Which process a number means.
//
// A number is not an identity: when other code waits for a child of ours, the kernel may give its number to a
// younger child at once. So what is remembered of a child is its birth, and it is compared before anything
// that cannot be undone, that is before wait4 and before any signal. The best that the machine has:
//
// 1. a held pidfd, which names one process for ever (0.6 us to ask);
// 2. the inode of its pidfd, compared with that of a fresh one: 2 to 4.5 us. (Linux 6.9. It is equal for all
//    pidfds of a process, of a zombie too, and different after reuse.)
// 3. the start time (field 22 of proc(5)'s stat): 15 us. Two processes of one number within one clock tick
//    look the same;
// 4. nothing: the number alone.
#pragma once

#include <signal.h>
#include <sys/types.h>
#include <uv.h>

#include <cstdint>

#include "os/descriptor.hpp"

namespace uvreap {

class claims;

enum class child_state {
  none,     // no child of ours, or a stranger has the number
  living,   // or a tracer holds the zombie: there is no status to collect yet
  changed,  // stopped or continued, where that was asked for
  ended,
  unknown,  // waitid failed otherwise (a filter): ours or not, the kernel does not say
};

// For a signal only what is proven counts.
[[nodiscard]] constexpr bool is_ours(child_state state) noexcept {
  return state != child_state::none && state != child_state::unknown;
}

// Up to this code waitid says an end. WEXITED also says CLD_TRAPPED, of a child that this process traces and
// that has stopped; a wait4 then would eat the stop that the debugger waits for.
inline constexpr int last_end = CLD_DUMPED;
static_assert(CLD_EXITED < last_end && CLD_KILLED < last_end && last_end < CLD_TRAPPED);

// By the kernel or a filter, what pidfd_send_signal was asked for: by number it may be done. (EPERM may be of
// the process, too; then kill says the same.)
[[nodiscard]] constexpr bool is_refused(int error) noexcept {
  return error == UV_ENOSYS || error == UV_EPERM;
}

[[nodiscard]] child_state look_at(pid_t) noexcept;  // by number: one waitid with WNOWAIT, which takes nothing

struct birth {
  enum class kind : std::uint8_t { unknown, inode, start_time };

  std::uint64_t number = 0;
  std::uint32_t device = 0;
  kind what = kind::unknown;

  [[nodiscard]] static birth of(pid_t, int pidfd) noexcept;  // pidfd -1: by the start time
  // Two that are not of one kind cannot be compared, and differ in nothing that is known.
  [[nodiscard]] bool differs_from(const birth& other) const noexcept {
    return what == other.what && (number != other.number || device != other.device);
  }
  // For the process-wide table of claims; 0: unknown.
  [[nodiscard]] std::uint32_t tag() const noexcept;
};

// A child by number, birth, and a pidfd while one is held.
class identity {
 public:
  pid_t pid = 0;  // of the whole identity, and never changed alone

  identity() noexcept = default;
  explicit identity(pid_t number) noexcept : pid(number) {}

  // Notes the birth. The pidfd is open after it, for the arming, until keep() or let_go(). 0, or UV_E* of
  // pidfd_open: then there is none, and the birth is told by the start time.
  int open() noexcept;

  [[nodiscard]] identity without_pidfd() const noexcept {
    identity same(pid);
    same.birth_ = birth_;
    return same;
  }

  // Of all reapers of the process so many pidfds are held at most. False: no more, and this one is closed.
  bool keep(claims&, std::size_t limit) noexcept;
  void let_go(claims&) noexcept;

  // Opens a fresh pidfd of the same process. 0; UV_ESRCH: the number is another's; UV_E*: why there is none.
  [[nodiscard]] int reopen(descriptor& out) const noexcept;
  [[nodiscard]] int reopen() noexcept { return reopen(pidfd_); }  // as open(), of the same process

  [[nodiscard]] child_state look(bool changes_too = false) const noexcept;  // one to four system calls
  [[nodiscard]] int signal(int signum) const noexcept;                      // 0, UV_ESRCH: not ours; UV_E*

  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  [[nodiscard]] bool is_held() const noexcept { return held_; }
  [[nodiscard]] const birth& born() const noexcept { return birth_; }

 private:
  [[nodiscard]] bool is_stranger(const birth& now) const noexcept { return birth_.differs_from(now); }

  // Where there is no pidfd to ask, or it is not answered.
  [[nodiscard]] child_state look_by_number(int changes) const noexcept;

  descriptor pidfd_;
  birth birth_;
  bool held_ = false;  // counted; a moved-from identity must have let go before
};

// 0 and the number of the child that a pidfd names, or UV_EBADF, UV_EINVAL, UV_ESRCH, UV_ENOTSUP.
[[nodiscard]] int pid_of(int pidfd, pid_t& out) noexcept;

}  // namespace uvreap
