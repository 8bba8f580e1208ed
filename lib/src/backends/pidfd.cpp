// Pidfds in one private epoll set, which the loop polls as one descriptor.
//
// A pidfd is readable when its process ended. It is held until the child is reaped, so the table of
// descriptors grows with the children, and each fork copies that table: hence the limit on held pidfds. Never
// PIDFD_THREAD: a leader may exit while other threads run on.
//
// It may stand before another backend (the ring), and then holds as few as that would: the youngest, since a
// child that has lived long is the least likely to end next. Before the kernel names an exit of the ring it
// runs task work, and the pidfd that was not held is opened again: some 5 us of an exit. The loop polls the
// set alone, and in it is what the loop would poll for the other.
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "backends/backend.hpp"
#include "child/round.hpp"
#include "os/claims.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

constexpr std::uint64_t nobodys = 0;  // no child's tag: the descriptor of the backend behind

class pidfd_backend final : public backend {
 public:
  pidfd_backend(const children& living, claims& all) noexcept
      : backend(living, slot::pidfd), claims_(all), set_(::epoll_create1(EPOLL_CLOEXEC)) {}

  [[nodiscard]] int try_out() noexcept {
    if (!set_) return uv_translate_sys_error(errno);
    descriptor ours(sys::pidfd_open(::getpid()));
    if (!ours) return uv_translate_sys_error(errno);
    if (int error = change(EPOLL_CTL_ADD, ours.get(), nobodys); error != 0) return error;
    return change(EPOLL_CTL_DEL, ours.get(), nobodys);
  }

  // That becomes the one behind this, if 0 is returned.
  [[nodiscard]] int stand_before(std::unique_ptr<backend>& another) noexcept {
    if (int error = change(EPOLL_CTL_ADD, another->polled(), nobodys); error != 0) return error;
    behind_ = std::move(another);
    return 0;
  }

  int arm(child& one) noexcept override {
    int error = arm_here(one);
    return error != 0 && behind_ ? behind_->arm(one) : error;
  }

  void disarm(child& one) noexcept override {
    if (behind_) behind_->disarm(one);
    if (one.on != slot::pidfd) return;
    armed_.remove(one);
    leave_set(one);
    one.on = slot::none;
  }

  void cancel(child& one) noexcept override {
    if (behind_) behind_->cancel(one);
    disarm(one);
  }

  bool wake_by_other() noexcept override {
    is_behind_woken_ = behind_ && (behind_->wake_by_other() || is_behind_woken_);
    return is_behind_woken_;
  }

  // Each has the first place in its turn: neither keeps the other waiting.
  bool take(look_queue& out, std::size_t limit) noexcept override {
    is_behind_first_ = !is_behind_first_;
    if (is_behind_first_) take_behind(out, limit);
    if (out.empty() && is_woken) take_here(out, limit);
    if (out.empty()) take_behind(out, limit);
    return is_woken || is_behind_woken_;
  }

  [[nodiscard]] int polled() const noexcept override { return set_.get(); }
  void leave_polled_open() noexcept override { (void)set_.release(); }
  void describe(statistics& stats) const noexcept override {
    stats.backend = backend_kind::pidfd;
    stats.on_pidfd = armed_.size();
    if (behind_) behind_->describe(stats);
  }

 private:
  [[nodiscard]] std::size_t most() const noexcept {
    return behind_ ? claims::most_held_beside_a_backend() : claims::most_held();
  }

  [[nodiscard]] int arm_here(child& one) noexcept {
    std::size_t limit = most();
    if (behind_ && !one.id.is_held() && claims_.held() >= limit && !move_oldest()) return UV_EMFILE;
    if (!one.id.keep(claims_, limit)) return UV_EMFILE;
    one.armed_as = next_arming();
    int error = change(EPOLL_CTL_ADD, one.id.pidfd(), tag_of(one));
    if (error != 0) return error;
    one.on = slot::pidfd;
    armed_.add(one);
    return 0;
  }

  bool move_oldest() noexcept {  // false: there is none, or it cannot be had behind, and stays
    if (armed_.size() == 0) return false;
    child& oldest = armed_.turn();
    auto armed_as = oldest.armed_as;
    armed_.remove(oldest);
    if (behind_->arm(oldest) != 0) {
      oldest.armed_as = armed_as;
      armed_.add(oldest);
      return false;
    }
    leave_set(oldest);
    oldest.id.let_go(claims_);
    return true;
  }

  void take_behind(look_queue& out, std::size_t limit) noexcept {
    if (is_behind_woken_) is_behind_woken_ = behind_->take(out, limit);
  }

  // If not all had a place among the events, the loop would say so at its next poll, for the set is readable
  // as long as those that were named are in it.
  void take_here(look_queue& out, std::size_t limit) noexcept {
    std::array<epoll_event, 16> events{};
    int most = static_cast<int>(std::min(events.size(), limit));
    int found = ::epoll_wait(set_.get(), events.data(), most, 0);
    is_woken = found == most;
    for (int i = 0; i < found; ++i) {
      auto tag = events[static_cast<std::size_t>(i)].data.u64;
      if (tag == nobodys) {
        behind_->is_woken = is_behind_woken_ = true;
      } else if (child* one = tagged(tag)) {
        name(*one, notice::backend, out);
      }
    }
  }

  // Before the pidfd is closed: the set is keyed by the open file, which a child that we forked may still
  // hold, and then a closed descriptor would go on waking us.
  void leave_set(const child& one) noexcept { (void)change(EPOLL_CTL_DEL, one.id.pidfd(), nobodys); }

  int change(int how, int pidfd, std::uint64_t tag) noexcept {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = tag}};
    return sys::from_errno(::epoll_ctl(set_.get(), how, pidfd, &event));
  }

  claims& claims_;
  descriptor set_;
  std::unique_ptr<backend> behind_;
  round<round_tag> armed_;
  bool is_behind_woken_ = false;
  bool is_behind_first_ = false;
};

}  // namespace

int make_pidfd(const children& living, claims& all, std::unique_ptr<backend>& out) noexcept {
  std::unique_ptr<pidfd_backend> made(new (std::nothrow) pidfd_backend(living, all));
  if (!made) return UV_ENOMEM;
  int error = made->try_out();
  if (error == 0 && out) error = made->stand_before(out);
  if (error == 0) out = std::move(made);
  return error;
}

}  // namespace uvreap
