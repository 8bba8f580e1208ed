// What is true of the whole process and so cannot be a reaper's own: which pids are watched by any reaper
// (one watch for each), and which process this is (the one a reaper was started in, or a forked copy).
//
// It is one mapping with MADV_WIPEONFORK (Linux 4.14): a forked child finds it zeroed, that is empty,
// whatever another thread was doing at the moment of the fork; a mutex and a map would be left locked and
// full. getpid() cannot tell a copy: it is 1 on both sides of a pid namespace.
//
// A byte for each pid, who claims it, the kernel can give (PID_MAX_LIMIT, 4 Mi), of which only touched pages
// cost memory. The calls take no lock and may come from any thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>

namespace uvreap {

class registry {
 public:
  // Null if the kernel would not map it; tried again at each call then. Never unmapped.
  static registry* of_this_process() noexcept;

  // Names this process among its ancestors: a reaper keeps it at start(), and is a forked copy where it
  // differs.
  std::uint64_t origin() noexcept;

  // Who claims: a number from 1 on that tells a few hundred reapers apart, and no more is needed.
  [[nodiscard]] std::uint8_t new_owner() noexcept;

  [[nodiscard]] static bool can_be_a_child(pid_t pid) noexcept {
    return pid > 0 && static_cast<std::size_t>(pid) < pid_limit;
  }

  // False: another reaper watches it, or it is no number that a child can have.
  bool claim(pid_t, std::uint8_t owner) noexcept;
  void claim_newborn(
      pid_t, std::uint8_t owner) noexcept;  // just forked here: whoever claimed its number lost that child
  void drop(pid_t) noexcept;                // of a child that is still there, or its zombie
  [[nodiscard]] bool is_claimed(pid_t) noexcept;

  // One reaper of the process may have the scope any().
  [[nodiscard]] bool claim_any() noexcept { return !any_taken_.exchange(true, std::memory_order_acq_rel); }
  void drop_any() noexcept { any_taken_.store(false, std::memory_order_release); }

  // Around the wait4 that may free the number: from then on a younger child may have it, and a reaper in
  // another thread that is asked to watch that one must not be told that it is watched. So claim() waits out
  // "collecting". False: the claim is no longer the owner's, and wait4 would take another's child.
  [[nodiscard]] bool collecting(pid_t, std::uint8_t owner) noexcept;
  void still_there(pid_t, std::uint8_t owner) noexcept;
  void collected(pid_t) noexcept;  // free, unless a newborn has the number already

 private:
  static constexpr std::uint8_t free = 0;
  static constexpr std::uint8_t being_collected = 255;
  static constexpr std::size_t pid_limit = 1u << 22;

  std::atomic<std::uint8_t>& of(pid_t) noexcept;

  std::atomic<std::uint64_t> origin_;  // 0: nobody has asked yet
  std::atomic<std::uint8_t> last_owner_;
  std::atomic<bool> any_taken_;
  std::array<std::atomic<std::uint8_t>, pid_limit> pids_;
};

}  // namespace uvreap
