// The design's floor on a private epoll set, which holds the pidfds of all children.
#include <sys/epoll.h>

#include <array>

#include "lean.hpp"

namespace bench {
namespace {

class lean_epoll : public lean {
 public:
  using lean::lean;

 private:
  std::string open(int& polled) override {
    polled = set_ = ::epoll_create1(EPOLL_CLOEXEC);
    return set_ >= 0 ? "" : "epoll_create1 failed";
  }

  bool arm(pid_t pid, int pidfd, std::size_t) override {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = static_cast<std::uint64_t>(pid)}};
    if (::epoll_ctl(set_, EPOLL_CTL_ADD, pidfd, &event) == 0) return true;
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }

  void disarm(int pidfd) override { ::epoll_ctl(set_, EPOLL_CTL_DEL, pidfd, nullptr); }

  bool look_at_named() override {
    std::array<epoll_event, 64> events{};
    int most = static_cast<int>(events.size());
    int found = ::epoll_wait(set_, events.data(), most, 0);
    for (int at = 0; at < found; ++at) {
      look_at(static_cast<pid_t>(events[static_cast<std::size_t>(at)].data.u64));
    }
    return found == most;
  }

  int set_ = -1;
};

engine_entry entry(const char* name, bool with_sigchld) {
  return {.name = name,
          .version = uv_version(),
          .make = maker<lean_epoll>(with_sigchld),
          .descriptors_per_child = 1};
}

}  // namespace

std::vector<engine_entry> lean_epoll_entries() {
  return {entry("lean_epoll", false), entry("lean_epoll_sigchld", true)};
}

}  // namespace bench
