// What a helper child and the bench share: one slot a child, in memory that both have mapped.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

namespace bench {

constexpr int no_slot = -1;

// A cache line of its own each, so that a child that stamps does not slow down another.
struct alignas(64) slot {
  std::atomic<std::uint32_t> gate;    // a futex: 0 closed, 1 let go
  std::atomic<std::uint32_t> parked;  // 1: the child stands before its gate
  std::int64_t stamp;                 // CLOCK_MONOTONIC, ns, the last thing before _exit
  std::int32_t wakes[2];              // whom it lets go before it ends, or no_slot
};
static_assert(sizeof(slot) == 64);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

inline void let_go(slot& which) noexcept {
  which.gate.store(1, std::memory_order_release);
  ::syscall(SYS_futex, &which.gate, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

// EINTR and a wake-up for nothing only mean another look.
inline void wait_at_gate(slot& which) noexcept {
  while (which.gate.load(std::memory_order_acquire) == 0) {
    ::syscall(SYS_futex, &which.gate, FUTEX_WAIT, 0, nullptr, nullptr, 0);
  }
}

}  // namespace bench
