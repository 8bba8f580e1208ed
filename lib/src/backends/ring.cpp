// An io_uring poll request on a pidfd, which costs no descriptor: a request holds the open file, so the pidfd
// can be closed as soon as the request is in, and later forks have nothing to copy.
//
// The kernel keeps what is ready until it is asked for (DEFER_TASKRUN, Linux 6.1), and from 6.13 on gives
// about 20 a call. Without that the exits of a burst are worked off all at once wherever the loop's thread
// happens to be, and a sweep of it took up to 16 ms. Such a ring's own descriptor wakes no poll; it signals
// an eventfd, which is what the loop polls.
//
// What else the kernel does with it, each found by trying:
// - A request on a zombie completes at once, so arming late loses nothing.
// - Such a ring obeys the thread that made it alone, and says EEXIST to others, a forked copy too. Where the
// loop has moved to another thread, a new ring is made and all children are armed again; one that moves again
// gets a ring of the older kind, which serves every thread.
// - On a ring of that kind (all that there is before 6.1) a request is cancelled when the thread that
// submitted it ends, and a completion interrupts that thread's blocking calls with EINTR although no handler
// runs.
// - More completions than the ring holds are kept by the kernel, and flushed when it is asked.
// - Under Debian's 6.12 completions came for which the eventfd was never signalled (emulated; not seen under
// 6.1 and 5.10; the cause is not known). The ring shows them, so SIGCHLD and the poller have it looked at,
// too.
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <new>

#include "backends/backend.hpp"
#include "child/round.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

constexpr unsigned submissions = 8;  // one at a time, and each is submitted at once
constexpr unsigned completions = 1024;
constexpr unsigned keeps_what_is_ready =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
constexpr int most_batches = 16;      // of completions that are passed over in a row
constexpr std::uint64_t nobodys = 0;  // the tag of no child

class ring_backend final : public backend {
 public:
  explicit ring_backend(const children& living) noexcept
      : backend(living, slot::ring), eventfd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~ring_backend() override { close(); }

  [[nodiscard]] int try_out() noexcept {
    if (!eventfd_) return uv_translate_sys_error(errno);
    descriptor ours(sys::pidfd_open(::getpid()));
    if (!ours) return uv_translate_sys_error(errno);
    constexpr std::uint64_t trial = 1;
    if (int error = submit_poll(ours.get(), trial); error != 0) return error;
    unsigned refusals = drain();  // of a living process there is no completion, unless it is a refusal
    withdraw(trial);
    // That of the withdrawal, and that of the request.
    for (int tries = 0; tries < 4 && has_news(); ++tries) drain();
    rest();
    return refusals == 0 ? 0 : UV_ENOTSUP;
  }

  int arm(child& one) noexcept override {
    descriptor fresh;
    if (one.id.pidfd() < 0) {
      if (int error = one.id.reopen(fresh); error != 0) return error;
    }
    int pidfd = fresh ? fresh.get() : one.id.pidfd();
    one.armed_as = next_arming();
    int error = submit_poll(pidfd, tag_of(one));
    if (error == UV_EEXIST) {
      begin_anew();
      error = submit_poll(pidfd, tag_of(one));
    }
    if (error != 0) return error;
    one.on = slot::ring;
    armed_.add(one);
    return 0;
  }

  // Its request has completed, or does so at once; the completion is then of an older arming.
  void disarm(child& one) noexcept override {
    if (one.on != slot::ring) return;
    one.on = slot::none;
    armed_.remove(one);
  }

  void cancel(child& one) noexcept override {
    if (one.on != slot::ring) return;
    disarm(one);
    withdraw(
        tag_of(one));  // if it cannot be withdrawn now, it completes with the child, and is no child's then
  }

  bool wake_by_other() noexcept override { return is_woken = is_woken || has_news(); }

  bool take(look_queue& out, std::size_t limit) noexcept override {
    if (rearm_left_ != 0) rearm_left_ = std::min(rearm_left_, armed_.size());
    for (; limit != 0 && rearm_left_ != 0; --limit) {
      --rearm_left_;  // before: if the loop has moved again, all the others are left
      rearm(armed_.turn(), out);
    }
    // Completions of older armings are passed over at little cost: those that come behind are not to wait for
    // them.
    for (int batches = 0; is_woken && limit != 0 && batches < most_batches; ++batches) {
      if (take_batch(out, limit)) rest();
      if (is_woken && !out.empty()) break;
    }
    return is_woken || rearm_left_ != 0;
  }

  [[nodiscard]] int polled() const noexcept override { return eventfd_.get(); }
  void leave_polled_open() noexcept override { (void)eventfd_.release(); }
  void describe(statistics& stats) const noexcept override {
    stats.backend = backend_kind::ring;
    stats.on_ring = armed_.size();
  }

 private:
  // ---- the ring itself

  [[nodiscard]] int open() noexcept {
    if (is_open_) return 0;
    int error = set_up(moves_ > 1 ? 0 : keeps_what_is_ready);
    if (error == -EINVAL) error = set_up(0);  // a kernel before 6.1
    if (error != 0) return uv_translate_sys_error(-error);
    is_open_ = true;
    error = ::io_uring_register_eventfd(&ring_, eventfd_.get());
    if (error != 0) close();
    return uv_translate_sys_error(-error);
  }

  [[nodiscard]] int set_up(unsigned flags) noexcept {
    io_uring_params params{};
    params.flags = IORING_SETUP_CQSIZE | flags;
    params.cq_entries = completions;
    return ::io_uring_queue_init_params(submissions, &ring_, &params);
  }

  void close() noexcept {
    if (is_open_) ::io_uring_queue_exit(&ring_);  // unmaps and closes; the last closer ends the ring
    is_open_ = false;
  }

  template <class Prepare>
  [[nodiscard]] int submit(Prepare prepare) noexcept {
    if (int error = open(); error != 0) return error;
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    if (entry == nullptr) {  // full of what was not taken before
      if (int result = ::io_uring_submit(&ring_); result < 0) return uv_translate_sys_error(-result);
      entry = ::io_uring_get_sqe(&ring_);
      if (entry == nullptr) return UV_EAGAIN;
    }
    prepare(entry);
    int result = ::io_uring_submit(&ring_);
    if (result >= 0 && ::io_uring_sq_ready(&ring_) == 0) return 0;
    // Not taken, and it cannot be taken back. It must not go in later, when its descriptor is another's.
    ::io_uring_prep_nop(entry);
    entry->user_data = nobodys;
    return result < 0 ? uv_translate_sys_error(-result) : UV_EAGAIN;
  }

  [[nodiscard]] int submit_poll(int pidfd, std::uint64_t tag) noexcept {
    return submit([&](io_uring_sqe* entry) {
      ::io_uring_prep_poll_add(entry, pidfd, POLLIN);
      entry->user_data = tag;
    });
  }

  void withdraw(std::uint64_t tag) noexcept {
    (void)submit([&](io_uring_sqe* entry) {
      ::io_uring_prep_poll_remove(entry, tag);
      entry->user_data = nobodys;
    });
  }

  [[nodiscard]] bool take_batch(look_queue& out, std::size_t limit) noexcept {  // true: those were all
    if (ask() == -EEXIST) return begin_anew(), true;
    std::array<io_uring_cqe*, 16> answers{};
    std::array<child*, 16> cancelled{};
    std::size_t to_rearm = 0;
    auto most = static_cast<unsigned>(std::min(answers.size(), limit));
    unsigned found = ::io_uring_peek_batch_cqe(&ring_, answers.data(), most);
    for (unsigned i = 0; i < found; ++i) {
      child* one = tagged(answers[i]->user_data);
      if (one == nullptr) continue;  // of an older arming
      if (answers[i]->res == -ECANCELED) {
        cancelled[to_rearm++] = one;  // the thread that armed it has ended
      } else {
        disarm(*one);
        name(*one, notice::backend, out);
      }
    }
    ::io_uring_cq_advance(&ring_, found);
    for (std::size_t i = 0; i < to_rearm; ++i) rearm(*cancelled[i], out);
    return found < most;
  }

  // Has the kernel give some of what it keeps, if we have none left. It may leave its flag standing when it
  // has given all (an exit that comes during the call and goes with it), so the flag is cleared first: what
  // came before is given by this call, and what is left or comes later sets it again.
  int ask() noexcept {
    if (!is_open_ || ::io_uring_cq_ready(&ring_) != 0) return 0;
    std::atomic_ref flags(*ring_.sq.kflags);
    if ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0) return 0;
    flags.fetch_and(~IORING_SQ_TASKRUN);
    return ::io_uring_get_events(&ring_);
  }

  [[nodiscard]] bool has_news() noexcept {
    if (!is_open_) return false;
    constexpr unsigned more = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
    return ::io_uring_cq_ready(&ring_) != 0 || (std::atomic_ref(*ring_.sq.kflags) & more) != 0;
  }

  unsigned drain() noexcept {
    (void)ask();
    std::array<io_uring_cqe*, 4> answers{};
    unsigned count = ::io_uring_peek_batch_cqe(&ring_, answers.data(), answers.size());
    ::io_uring_cq_advance(&ring_, count);
    return count;
  }

  // Until the eventfd is signalled, which it has been for what we asked for, too. Silenced first, looked at
  // second.
  void rest() noexcept {
    eventfd_t times = 0;
    (void)::eventfd_read(eventfd_.get(), &times);
    is_woken = has_news();
  }

  // ---- when the loop has moved to another thread

  void begin_anew() noexcept {
    close();
    ++moves_;
    rearm_left_ = armed_.size();
    (void)::eventfd_write(eventfd_.get(), 1);  // nothing else may mark a sweep due
  }

  // What cannot be armed is named: that leads it to the fallback.
  void rearm(child& one, look_queue& out) noexcept {
    disarm(one);
    if (arm(one) != 0) name(one, notice::backend, out);
  }

  descriptor eventfd_;
  io_uring ring_{};
  bool is_open_ = false;
  round<round_tag> armed_;
  std::size_t rearm_left_ = 0;
  int moves_ = 0;
};

}  // namespace

int make_ring(const children& living, std::unique_ptr<backend>& out) noexcept {
  std::unique_ptr<ring_backend> made(new (std::nothrow) ring_backend(living));
  if (!made) return UV_ENOMEM;
  int error = made->try_out();
  if (error == 0) out = std::move(made);
  return error;
}

}  // namespace uvreap
