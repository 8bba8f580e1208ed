#include "os/claims.hpp"

#include <sched.h>
#include <sys/mman.h>

namespace uvreap {
namespace {

std::atomic<registry*> mapped{nullptr};

// In memory that a fork copies, so a child counts on from where its parent stood, and no origin comes twice
// in a line of descent.
std::atomic<std::uint64_t> last_origin{0};

registry* map_one() noexcept {
  void* memory = ::mmap(nullptr, sizeof(registry), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (::madvise(memory, sizeof(registry), MADV_WIPEONFORK) != 0) {
    ::munmap(memory, sizeof(registry));
    return nullptr;
  }
  return static_cast<registry*>(memory);  // all zero, which is what each of its atomics starts with
}

}  // namespace

registry* registry::of_this_process() noexcept {
  registry* here = mapped.load(std::memory_order_acquire);
  if (here != nullptr) return here;
  registry* fresh = map_one();
  if (fresh == nullptr) return nullptr;
  if (mapped.compare_exchange_strong(here, fresh, std::memory_order_acq_rel)) return fresh;
  ::munmap(fresh, sizeof(registry));  // another thread was first
  return here;
}

std::uint64_t registry::origin() noexcept {
  std::uint64_t known = origin_.load(std::memory_order_acquire);
  if (known != 0) return known;
  std::uint64_t fresh = last_origin.fetch_add(1, std::memory_order_relaxed) + 1;
  return origin_.compare_exchange_strong(known, fresh, std::memory_order_acq_rel) ? fresh : known;
}

std::atomic<std::uint8_t>& registry::of(pid_t pid) noexcept { return pids_[static_cast<std::size_t>(pid)]; }

std::uint8_t registry::new_owner() noexcept {
  std::uint8_t owner = free;
  while (owner == free || owner == being_collected) owner = ++last_owner_;
  return owner;
}

bool registry::claim(pid_t pid, std::uint8_t owner) noexcept {
  if (!can_be_a_child(pid)) return false;
  // The other reaper is inside one wait4 with WNOHANG, a microsecond or so. The bound is for a thread that
  // was put off the CPU there: then "watched" is the answer after all.
  for (int tries = 0; tries < 1000; ++tries) {
    std::uint8_t expected = free;
    if (of(pid).compare_exchange_strong(expected, owner, std::memory_order_acq_rel)) return true;
    if (expected != being_collected) return false;
    ::sched_yield();
  }
  return false;
}

void registry::claim_newborn(pid_t pid, std::uint8_t owner) noexcept {
  of(pid).store(owner, std::memory_order_release);
}

void registry::drop(pid_t pid) noexcept { of(pid).store(free, std::memory_order_release); }
bool registry::is_claimed(pid_t pid) noexcept { return of(pid).load(std::memory_order_acquire) != free; }

bool registry::collecting(pid_t pid, std::uint8_t owner) noexcept {
  return of(pid).compare_exchange_strong(owner, being_collected, std::memory_order_acq_rel);
}

void registry::collected(pid_t pid) noexcept {
  std::uint8_t expected = being_collected;
  of(pid).compare_exchange_strong(expected, free, std::memory_order_acq_rel);
}

void registry::still_there(pid_t pid, std::uint8_t owner) noexcept {
  of(pid).store(owner, std::memory_order_release);
}

}  // namespace uvreap
