#include "os/claims.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <uv.h>

#include <algorithm>

namespace uvreap {
namespace {

std::atomic<claims*> mapped{nullptr};

// In memory that a fork copies, so a child counts on from where its parent stood, and no generation comes
// twice in a line of descent.
std::atomic<std::uint64_t> last_generation{0};

// All zero, which is what each of its atomics starts with. At that address, in place of what is there, or
// anywhere.
void* map_zeroes(void* at) noexcept {
  int fixed = at != nullptr ? MAP_FIXED : 0;
  void* memory = ::mmap(at, sizeof(claims), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

// In a forked child, where the kernel did not wipe it. Only fork() calls this, no clone() of its own.
void wipe() noexcept {
  claims* copied = mapped.load(std::memory_order_acquire);
  if (copied == nullptr || map_zeroes(copied) != nullptr) return;
  copied->disown();
  mapped.store(nullptr, std::memory_order_release);
}

bool has_wiping_at_fork() noexcept {
  static const bool has = ::pthread_atfork(nullptr, nullptr, wipe) == 0;
  return has;
}

claims* map_one() noexcept {
  void* memory = map_zeroes(nullptr);
  if (memory == nullptr) return nullptr;
  if (::madvise(memory, sizeof(claims), MADV_WIPEONFORK) != 0 && !has_wiping_at_fork()) {
    ::munmap(memory, sizeof(claims));
    return nullptr;
  }
  return static_cast<claims*>(memory);
}

}  // namespace

claims* claims::of_this_process() noexcept {
  claims* here = mapped.load(std::memory_order_acquire);
  if (here != nullptr) return here;
  claims* fresh = map_one();
  if (fresh == nullptr) return nullptr;
  if (mapped.compare_exchange_strong(here, fresh, std::memory_order_acq_rel)) return fresh;
  ::munmap(fresh, sizeof(claims));  // another thread was first
  return here;
}

std::uint64_t claims::generation() noexcept {
  std::uint64_t known = generation_.load(std::memory_order_acquire);
  if (known != 0) return known;
  std::uint64_t fresh = last_generation.fetch_add(1, std::memory_order_relaxed) + 1;
  return generation_.compare_exchange_strong(known, fresh, std::memory_order_acq_rel) ? fresh : known;
}

bool is_forked_copy(std::uint64_t generation) noexcept {
  claims* here = mapped.load(std::memory_order_acquire);  // a copy that has not asked for its own has 0
  return here == nullptr || here->generation_.load(std::memory_order_acquire) != generation;
}

std::uint32_t claims::new_mark() noexcept {
  std::uint32_t mark = 0;
  while (mark == 0) mark = (last_mark_.fetch_add(1, std::memory_order_relaxed) + 1) & 0x7fff'ffff;
  return mark;
}

bool claims::claim(pid_t pid, word mine) noexcept {
  if (!can_be_a_child(pid)) return false;
  // The other reaper is inside one wait4 with WNOHANG, a microsecond or so. The bound is for a thread that
  // was put off the CPU there: then "watched" is the answer after all.
  for (int tries = 0; tries < 1000; ++tries) {
    word there = of(pid).load(std::memory_order_acquire);
    auto tag = static_cast<std::uint32_t>(mine);
    auto its_tag = static_cast<std::uint32_t>(there);
    bool is_of_a_dead_child = tag != 0 && its_tag != 0 && tag != its_tag;
    if (there == 0 || is_of_a_dead_child) {
      if (of(pid).compare_exchange_strong(there, mine, std::memory_order_acq_rel)) return true;
      continue;
    }
    if ((there & collecting) == 0) return false;
    ::sched_yield();
  }
  return false;
}

void claims::claim_newborn(pid_t pid, word mine) noexcept { of(pid).store(mine, std::memory_order_release); }

void claims::drop(pid_t pid, word mine) noexcept {
  of(pid).compare_exchange_strong(mine, 0, std::memory_order_acq_rel);
}

bool claims::is_claimed(pid_t pid) noexcept {
  return can_be_a_child(pid) && of(pid).load(std::memory_order_acquire) != 0;
}

bool claims::is_claimed_by(pid_t pid, word mine) noexcept {
  return of(pid).load(std::memory_order_acquire) == mine;
}

bool claims::begin_collecting(pid_t pid, word mine) noexcept {
  auto& its = pids_[static_cast<std::size_t>(pid)];
  return its.compare_exchange_strong(mine, mine | collecting, std::memory_order_acq_rel);
}

void claims::end_collecting(pid_t pid, word mine, bool collected) noexcept {
  auto& its = pids_[static_cast<std::size_t>(pid)];
  word there = mine | collecting;  // else a newborn has the number already
  its.compare_exchange_strong(there, collected ? 0 : mine, std::memory_order_acq_rel);
}

int claims::claim_any(bool on_main_thread) noexcept {
  unsigned now = uses_.load(std::memory_order_acquire);
  unsigned wanted = on_main_thread ? any : any | any_elsewhere;
  do {
    if ((now & any) != 0) return UV_EBUSY;
    if (!on_main_thread && (now & spawning) != 0) return UV_ENOTSUP;
  } while (!uses_.compare_exchange_weak(now, now | wanted, std::memory_order_acq_rel));
  return 0;
}

bool claims::claim_spawning() noexcept {
  unsigned now = uses_.load(std::memory_order_acquire);
  do {
    if ((now & any_elsewhere) != 0) return false;
  } while (!uses_.compare_exchange_weak(now, now | spawning, std::memory_order_acq_rel));
  return true;
}

std::size_t claims::most_held_beside_a_backend() noexcept { return std::min<std::size_t>(most_held(), 64); }

std::size_t claims::most_held() noexcept {
  ::rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 256;
  return static_cast<std::size_t>(std::min<rlim_t>(1024, files.rlim_cur / 4));
}

bool claims::hold(std::size_t limit) noexcept {
  std::size_t now = held();
  while (now < limit) {
    if (held_.compare_exchange_weak(now, now + 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

}  // namespace uvreap
