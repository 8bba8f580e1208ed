// What is true of the whole process and so cannot be a reaper's own: which children any reaper watches (one
// watch for each), how many pidfds are held, and which process this is: the one in which a reaper was
// started, or a forked copy of it.
//
// It is one mapping with MADV_WIPEONFORK (Linux 4.14): a forked child finds it zeroed, that is empty,
// whatever another thread was doing at the moment of the fork; a mutex and a map would be left locked and
// full. Where the kernel refuses that (before 4.14, a seccomp filter), the child of fork() maps it anew, and
// a copy made by a clone(2) of its own is not known as one. getpid() cannot tell a copy: it is 1 on both
// sides of a pid namespace.
//
// A word for each number that the kernel can give (PID_MAX_LIMIT, 4 Mi), of which only touched pages cost
// memory. It holds the mark of the claiming reaper and a tag of the child's birth: a claim of another birth
// is a dead child's, and whoever watches the younger one swaps it. The reaper that had the old claim finds
// the foreign one when it looks next; nothing is done across threads. No call takes a lock.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace uvreap {

class claims {
 public:
  // Null if the kernel would not map it; tried again at each call then. Never unmapped.
  static claims* of_this_process() noexcept;

  // Names this process among its ancestors: a reaper keeps it at start(), and is in a forked copy where it
  // differs. The place of it can be read for ever.
  std::uint64_t generation() noexcept;
  void disown() noexcept { generation_.store(0); }  // in a copy that cannot be given one of its own
  [[nodiscard]] const std::atomic<std::uint64_t>& place_of_generation() const noexcept { return generation_; }

  // Who claims: never that of two reapers (it wraps after 2 147 483 647).
  [[nodiscard]] std::uint32_t new_mark() noexcept;

  [[nodiscard]] static bool can_be_a_child(pid_t pid) noexcept {
    return pid > 0 && static_cast<std::size_t>(pid) < pid_limit;
  }

  // A claim of this reaper for a child of this birth (tag 0: unknown).
  using word = std::uint64_t;
  [[nodiscard]] static constexpr word word_of(std::uint32_t mark, std::uint32_t tag) noexcept {
    return word{mark} << 32 | tag;
  }

  // False: another reaper watches it, or it is no number that a child can have.
  [[nodiscard]] bool claim(pid_t, word) noexcept;
  void claim_newborn(pid_t, word) noexcept;  // just forked here: whoever claimed its number lost that child
  void drop(pid_t, word) noexcept;           // nothing if it is another's by now
  [[nodiscard]] bool is_claimed(pid_t) noexcept;
  [[nodiscard]] bool is_claimed_by(pid_t, word) noexcept;

  // Around the wait4 that may free the number: from then on a younger child may have it, and a reaper in
  // another thread that is asked to watch that one must not be told that it is watched. So claim() waits out
  // "collecting" where the births do not tell. False: the claim is another's, and wait4 would take its child.
  [[nodiscard]] bool begin_collecting(pid_t, word) noexcept;
  void end_collecting(pid_t, word, bool collected) noexcept;

  // Held pidfds, of all reapers together. Each costs every later fork about 0.1 us, for the child copies the
  // table of descriptors.
  [[nodiscard]] static std::size_t most_held() noexcept;  // min(1 024, RLIMIT_NOFILE / 4), as it is now
  // Where the backend needs none, to know births cheaply: of those, 64.
  [[nodiscard]] static std::size_t most_held_beside_a_backend() noexcept;
  [[nodiscard]] bool hold(std::size_t limit) noexcept;
  void let_go() noexcept { held_.fetch_sub(1, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }

  // One reaper of the process may have the scope any(): 0 or UV_EBUSY. Off the main thread it would see the
  // spawner's children before they are claimed: UV_ENOTSUP, there and for claim_spawning(), which is for
  // good.
  [[nodiscard]] int claim_any(bool on_main_thread) noexcept;
  void drop_any() noexcept { uses_.fetch_and(spawning, std::memory_order_release); }
  [[nodiscard]] bool claim_spawning() noexcept;

 private:
  friend bool is_forked_copy(std::uint64_t generation) noexcept;
  static constexpr std::size_t pid_limit = 1u << 22;
  static constexpr word collecting = word{1} << 63;  // above a mark; a word of 0 is free

  enum use : unsigned { any = 1, any_elsewhere = 2, spawning = 4 };

  std::atomic<word>& of(pid_t pid) noexcept { return pids_[static_cast<std::size_t>(pid)]; }

  std::atomic<std::uint64_t> generation_;  // 0: not asked for yet
  std::atomic<std::uint32_t> last_mark_;
  std::atomic<unsigned> uses_;
  std::atomic<std::size_t> held_;
  std::array<std::atomic<word>, pid_limit> pids_;
};

// Has this memory been copied by a fork since that generation?
[[nodiscard]] bool is_forked_copy(std::uint64_t generation) noexcept;

}  // namespace uvreap
