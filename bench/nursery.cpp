#include "nursery.hpp"

#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "clock.hpp"

namespace bench {
namespace {

const std::string& helper_path() {
  static const std::string path =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "bench-helper-child";
  return path;
}

[[noreturn]] void fail(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

// Some engines block signals (sd-event must have SIGCHLD blocked): no child is to start with that.
const posix_spawnattr_t& clean_start() {
  static const posix_spawnattr_t attributes = [] {
    posix_spawnattr_t made;
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_init(&made);
    ::posix_spawnattr_setsigmask(&made, &none);
    ::posix_spawnattr_setsigdefault(&made, &all);
    ::posix_spawnattr_setflags(&made, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return made;
  }();
  return attributes;
}

}  // namespace

nursery::nursery(int capacity) : capacity_(capacity) {
  // Not close-on-exec: the children inherit it, under its number.
  memory_ = ::memfd_create("bench-slots", 0);
  if (memory_ < 0) fail(errno, "memfd_create");
  auto size = sizeof(slot) * static_cast<std::size_t>(capacity);
  if (::ftruncate(memory_, static_cast<off_t>(size)) != 0) fail(errno, "ftruncate");
  void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory_, 0);
  if (mapped == MAP_FAILED) fail(errno, "mmap");
  slots_ = static_cast<slot*>(mapped);
}

nursery::~nursery() {
  ::munmap(slots_, sizeof(slot) * static_cast<std::size_t>(capacity_));
  ::close(memory_);
}

int nursery::new_slot() {
  if (used_ == capacity_) throw std::length_error("the nursery is full");
  chain(used_, no_slot, no_slot);
  return used_++;
}

void nursery::chain(int which, int first, int second) {
  slots_[which].wakes[0] = first;
  slots_[which].wakes[1] = second;
}

std::vector<std::string> nursery::command(int which) const {
  return {helper_path(), std::to_string(memory_), std::to_string(which), std::to_string(::getpid())};
}

pid_t nursery::make(int which) {
  auto words = command(which);
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  char* environment[] = {nullptr};
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, arguments[0], nullptr, &clean_start(), arguments, environment);
  if (error != 0) fail(error, "posix_spawn");
  return pid;
}

void nursery::wait_parked(int which) {
  std::int64_t give_up = now() + 20'000'000'000;
  while (slots_[which].parked.load(std::memory_order_acquire) == 0) {
    if (now() > give_up) throw std::runtime_error("a helper child did not start");
    if (look_) look_();
    sleep_for(100'000);
  }
}

}  // namespace bench
