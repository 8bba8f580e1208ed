// The rung of pidfds in one private epoll set, which the loop polls as one descriptor.
//
// A pidfd is readable when its process ended. It is held until the child is reaped, so the table of
// descriptors grows with the children, and each fork copies that table (about 0.1 us for each descriptor):
// hence the limit. In return a status that somebody else took can be had from the pidfd (Linux 6.15). Never
// PIDFD_THREAD: a leader may exit while other threads run on.
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "backends/backend.hpp"
#include "child/pid_map.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

class exit_index_pidfd final : public exit_index {
 public:
  exit_index_pidfd() noexcept : set_(::epoll_create1(EPOLL_CLOEXEC)) {}

  ~exit_index_pidfd() override {
    // No EPOLL_CTL_DEL: in a forked copy the set is the parent's too.
    if (set_ >= 0) ::close(set_);
    for (auto [pid, pidfd] : pidfds_) ::close(pidfd);
  }

  [[nodiscard]] int usable() noexcept {
    if (set_ < 0) return uv_translate_sys_error(errno);
    if (!make_room()) return UV_ENOMEM;
    int error = arm(::getpid());
    disarm(::getpid());
    return error;
  }

  [[nodiscard]] bool make_room() noexcept override { return pidfds_.make_room(); }

  int arm(pid_t pid) noexcept override {
    if (pidfds_.find(pid) != nullptr) return 0;
    if (pidfds_.size() >= most()) return UV_EMFILE;
    int pidfd = sys::pidfd_open(pid);
    if (pidfd < 0) return uv_translate_sys_error(errno);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = static_cast<std::uint64_t>(pid)}};
    if (::epoll_ctl(set_, EPOLL_CTL_ADD, pidfd, &event) != 0) {
      int error = uv_translate_sys_error(errno);
      ::close(pidfd);
      return error;
    }
    pidfds_.add(pid, pidfd);
    return 0;
  }

  void disarm(pid_t pid) noexcept override {
    int* pidfd = pidfds_.find(pid);
    if (pidfd == nullptr) return;
    // Out of the set first: it is keyed by the open file, which a child that we forked may still hold, and
    // then a closed descriptor would go on waking us.
    ::epoll_ctl(set_, EPOLL_CTL_DEL, *pidfd, nullptr);
    ::close(*pidfd);
    pidfds_.remove(pid);
  }

  void hear(notice who) noexcept override {
    if (who == notice::backend) look_ = true;
  }

  [[nodiscard]] std::size_t take(std::span<candidate> out) noexcept override {
    if (!look_) return 0;
    std::array<epoll_event, 16> events{};
    int limit = static_cast<int>(std::min(events.size(), out.size()));
    int count = ::epoll_wait(set_, events.data(), limit, 0);
    look_ = count > 0;  // until it says that nobody is left: those it named are still in the set
    for (int i = 0; i < count; ++i) {
      auto at = static_cast<std::size_t>(i);
      out[at] = {static_cast<pid_t>(events[at].data.u64), notice::backend};
    }
    return static_cast<std::size_t>(std::max(count, 0));
  }

  [[nodiscard]] bool has_more() const noexcept override { return look_; }
  [[nodiscard]] int descriptor() const noexcept override { return set_; }

  void leave_descriptor() noexcept override { set_ = -1; }

  [[nodiscard]] bool recover(pid_t pid, int& word) noexcept override {
    int* pidfd = pidfds_.find(pid);
    return pidfd != nullptr && sys::exit_word_of_pidfd(*pidfd, &word) == 0;
  }

  void describe(statistics& stats) const noexcept override {
    stats.backend = backend_kind::pidfd;
    stats.on_pidfd = stats.on_backend = pidfds_.size();
  }

 private:
  // Asked for each child: a program may lift its limit after start, or lower it.
  static std::size_t most() noexcept {
    ::rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return 256;
    return std::min<std::size_t>(1024, files.rlim_cur / 4);
  }

  int set_;
  pid_map<int> pidfds_;
  bool look_ = false;
};

}  // namespace

int make_exit_index_pidfd(std::unique_ptr<exit_index>& out) noexcept {
  std::unique_ptr<exit_index_pidfd> made(new (std::nothrow) exit_index_pidfd);
  if (!made) return UV_ENOMEM;
  int error = made->usable();
  if (error == 0) out = std::move(made);
  return error;
}

}  // namespace uvreap
