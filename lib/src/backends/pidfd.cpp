// Pidfds in one private epoll set, which the loop polls as one descriptor.
//
// A pidfd is readable when its process ended. It is held until the child is reaped, so the table of
// descriptors grows with the children, and each fork copies that table: hence the limit on held pidfds. Never
// PIDFD_THREAD: a leader may exit while other threads run on.
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "backends/backend.hpp"
#include "os/claims.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

class pidfd_backend final : public backend {
 public:
  pidfd_backend(const children& living, claims& all) noexcept
      : backend(living, slot::pidfd), claims_(all), set_(::epoll_create1(EPOLL_CLOEXEC)) {}

  [[nodiscard]] int try_out() noexcept {
    if (!set_) return uv_translate_sys_error(errno);
    descriptor ours(sys::pidfd_open(::getpid()));
    if (!ours) return uv_translate_sys_error(errno);
    if (int error = change(EPOLL_CTL_ADD, ours.get(), 0); error != 0) return error;
    return change(EPOLL_CTL_DEL, ours.get(), 0);
  }

  int arm(child& one) noexcept override {
    if (!one.id.keep(claims_, claims::most_held())) return UV_EMFILE;
    one.armed_as = next_arming();
    int error = change(EPOLL_CTL_ADD, one.id.pidfd(), tag_of(one));
    if (error != 0) return error;
    one.on = slot::pidfd;
    ++size_;
    return 0;
  }

  void disarm(child& one) noexcept override {
    // Out of the set before the pidfd is closed: the set is keyed by the open file, which a child that we
    // forked may still hold, and then a closed descriptor would go on waking us.
    if (one.on != slot::pidfd) return;
    (void)change(EPOLL_CTL_DEL, one.id.pidfd(), 0);
    one.on = slot::none;
    --size_;
  }

  bool take(look_queue& out, std::size_t limit) noexcept override {
    if (!is_woken) return false;
    std::array<epoll_event, 16> events{};
    int most = static_cast<int>(std::min(events.size(), limit));
    int found = ::epoll_wait(set_.get(), events.data(), most, 0);
    is_woken = found > 0;  // until it says that there is none: those it named are still in the set
    for (int i = 0; i < found; ++i) {
      if (child* one = tagged(events[static_cast<std::size_t>(i)].data.u64)) name(*one, notice::backend, out);
    }
    return is_woken;
  }

  [[nodiscard]] std::size_t size() const noexcept override { return size_; }
  [[nodiscard]] int polled() const noexcept override { return set_.get(); }
  void leave_polled_open() noexcept override { (void)set_.release(); }

 private:
  int change(int how, int pidfd, std::uint64_t tag) noexcept {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = tag}};
    return sys::from_errno(::epoll_ctl(set_.get(), how, pidfd, &event));
  }

  claims& claims_;
  descriptor set_;
  std::size_t size_ = 0;
};

}  // namespace

int make_pidfd(const children& living, claims& all, std::unique_ptr<backend>& out) noexcept {
  std::unique_ptr<pidfd_backend> made(new (std::nothrow) pidfd_backend(living, all));
  if (!made) return UV_ENOMEM;
  int error = made->try_out();
  if (error == 0) out = std::move(made);
  return error;
}

}  // namespace uvreap
