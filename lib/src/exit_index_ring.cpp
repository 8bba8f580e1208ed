// The rung that costs no descriptor: an io_uring poll request on a pidfd. A request holds the open file, not
// the descriptor, so the pidfd is closed as soon as the request is in, and later forks have nothing to copy.
//
// The kernel keeps what is ready until it is asked for, and then gives about 20 a call (DEFER_TASKRUN, Linux
// 6.1): without that the exits of a burst are worked off all at once wherever the loop's thread happens to
// be, and a pass of it took up to 16 ms. So a ring cannot be polled by its own descriptor, which does not
// become readable then; it rings a bell, an eventfd, which is what the loop polls.
//
// What else the kernel does with it, each found by trying:
// - A request on a zombie completes at once, so arming late loses nothing.
// - A ring made like this obeys the thread that made it alone, and says EEXIST to others, a forked copy too.
// Where the loop has moved to another thread, a new ring is made, and all children are armed again.
// - Before 6.1 a ring serves every thread, but a request is cancelled when the thread that submitted it ends,
// and a completion interrupts that thread's blocking calls with EINTR although no handler runs.
// - More completions than the ring holds are kept by the kernel; liburing's batch peek flushes them.
#include <fcntl.h>
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

#include "exit_index.hpp"
#include "owned_descriptor.hpp"
#include "pid_map.hpp"
#include "syscalls.hpp"

namespace uvreap {
namespace {

constexpr unsigned submissions = 8;  // one at a time, and each is submitted at once
constexpr unsigned completions = 1024;
constexpr unsigned keeps_what_is_ready =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

class exit_index_ring final : public exit_index {
 public:
  exit_index_ring() noexcept : bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    setup_error_ = bell_ ? set_up(ring_) : uv_translate_sys_error(errno);
  }

  ~exit_index_ring() override {
    if (setup_error_ == 0) ::io_uring_queue_exit(&ring_);  // unmaps and closes; the last closer ends the ring
  }

  [[nodiscard]] int usable() noexcept {
    if (setup_error_ != 0) return setup_error_;
    if (!make_room()) return UV_ENOMEM;
    if (int error = arm(::getpid()); error != 0) return error;
    unsigned refusals = drain();  // of a living process there is no completion, unless it is a refusal
    give_up(::getpid());
    drain();  // the withdrawal's
    rest();
    return refusals == 0 ? 0 : UV_ENOTSUP;
  }

  [[nodiscard]] bool make_room() noexcept override { return armed_.make_room(); }

  int arm(pid_t pid) noexcept override {
    owned_descriptor pidfd(sys::pidfd_open(pid));
    if (!pidfd) return uv_translate_sys_error(errno);
    std::uint32_t generation = ++last_generation_;
    auto poll = [&](io_uring_sqe* entry) {
      ::io_uring_prep_poll_add(entry, pidfd.get(), POLLIN);
      entry->user_data = tag(pid, generation);
    };
    int error = submit(poll);
    if (error == UV_EEXIST && (error = move_here()) == 0) error = submit(poll);
    if (error == 0) armed_.add(pid, generation);
    return error;
  }

  // Its request has completed, or does so at once; the completion is then an older child's by its generation.
  void disarm(pid_t pid) noexcept override { armed_.remove(pid); }

  void give_up(pid_t pid) noexcept override {
    std::uint32_t* generation = armed_.find(pid);
    if (generation == nullptr) return;
    std::uint64_t request = tag(pid, *generation);
    armed_.remove(pid);
    // If it cannot be withdrawn now, it completes with the child, and is nobody's then.
    (void)submit([&](io_uring_sqe* entry) {
      ::io_uring_prep_poll_remove(entry, request);
      entry->user_data = nobodys;
    });
  }

  void hear(notice who) noexcept override {
    if (who == notice::index) look_ = true;
  }

  [[nodiscard]] std::size_t take(std::span<candidate> out) noexcept override {
    if (rearmed_to_ != all) return rearm(out);
    if (!look_) return 0;
    std::array<io_uring_cqe*, 16> answers{};
    auto limit = static_cast<unsigned>(std::min(answers.size(), out.size()));
    unsigned got = ::io_uring_peek_batch_cqe(&ring_, answers.data(), limit);
    std::size_t count = 0;
    for (unsigned i = 0; i < got; ++i) {
      pid_t pid = pid_of(answers[i]->user_data);
      std::uint32_t* generation = armed_.find(pid);
      if (generation == nullptr || tag(pid, *generation) != answers[i]->user_data)
        continue;  // an older child's, or that of a request that was made again
      if (answers[i]->res == -ECANCELED) {
        rearmed_to_ = none;  // the thread that armed it has ended, and this is not its only one
        continue;
      }
      armed_.remove(pid);
      out[count++] = {pid, notice::index};
    }
    ::io_uring_cq_advance(&ring_, got);
    if (!has_news()) {
      rest();
    } else if (got == 0 && ::io_uring_get_events(&ring_) == -EEXIST) {
      (void)move_here();
    }
    return count;
  }

  [[nodiscard]] bool has_more() const noexcept override { return look_ || rearmed_to_ != all; }
  [[nodiscard]] int descriptor() const noexcept override { return bell_.get(); }

  void leave_descriptor() noexcept override { (void)bell_.release(); }

  void describe(statistics& stats) const noexcept override {
    stats.index = index_kind::ring;
    stats.on_ring = stats.indexed = armed_.size();
  }

 private:
  static constexpr std::uint64_t nobodys = 0;  // of no child
  static constexpr pid_t none = 0;
  static constexpr pid_t all = -1;

  // The generation keeps a completion of an older child from speaking for a younger one with the same number.
  static std::uint64_t tag(pid_t pid, std::uint32_t generation) noexcept {
    return std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(pid);
  }
  static pid_t pid_of(std::uint64_t tag) noexcept { return static_cast<pid_t>(tag & 0xffff'ffff); }

  [[nodiscard]] int set_up(io_uring& ring) noexcept {
    int error = 0;
    for (unsigned flags : {keeps_what_is_ready, 0U}) {  // kernels before 6.1 say EINVAL
      io_uring_params params{};
      params.flags = IORING_SETUP_CQSIZE | flags;
      params.cq_entries = completions;
      error = ::io_uring_queue_init_params(submissions, &ring, &params);
      if (error != -EINVAL) break;
    }
    if (error == 0) {
      error = ::io_uring_register_eventfd(&ring, bell_.get());
      if (error != 0) ::io_uring_queue_exit(&ring);
    }
    return uv_translate_sys_error(-error);
  }

  template <class Prepare>
  [[nodiscard]] int submit(Prepare prepare) noexcept {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    if (entry == nullptr) return UV_EAGAIN;
    prepare(entry);
    int result = ::io_uring_submit(&ring_);
    if (result >= 0 && ::io_uring_sq_ready(&ring_) == 0) return 0;
    // Not taken, and it cannot be taken back. It must not go in later, when the descriptor in it is
    // another's.
    ::io_uring_prep_nop(entry);
    entry->user_data = nobodys;
    return result < 0 ? uv_translate_sys_error(-result) : UV_EAGAIN;
  }

  // There are completions, or the kernel would make some if it were asked.
  [[nodiscard]] bool has_news() const noexcept {
    if (::io_uring_cq_ready(&ring_) != 0) return true;
    unsigned flags = std::atomic_ref(*ring_.sq.kflags).load(std::memory_order_acquire);
    return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }

  // Until the bell rings, which it has done for what we asked for, too. Silenced first, looked at second.
  void rest() noexcept {
    eventfd_t rung = 0;
    (void)::eventfd_read(bell_.get(), &rung);
    look_ = has_news();
  }

  // Another ring, of this thread. What was armed is lost with the old one.
  [[nodiscard]] int move_here() noexcept {
    rearmed_to_ = none;
    (void)::eventfd_write(bell_.get(), 1);  // nobody else may make a pass due
    io_uring fresh{};
    if (int error = set_up(fresh); error != 0) return error;
    ::io_uring_queue_exit(&ring_);
    ring_ = fresh;
    return 0;
  }

  // Arms again, some at a time. Who cannot be armed is named: that leads it down the ladder.
  [[nodiscard]] std::size_t rearm(std::span<candidate> out) noexcept {
    std::size_t count = 0;
    for (std::size_t tried = 0; tried < out.size(); ++tried) {
      pid_t pid = armed_.first_above(rearmed_to_);
      rearmed_to_ = pid == 0 ? all : pid;
      if (pid == 0) break;
      if (arm(pid) == 0) continue;
      armed_.remove(pid);
      out[count++] = {pid, notice::index};
    }
    return count;
  }

  unsigned drain() noexcept {
    std::array<io_uring_cqe*, 4> answers{};
    unsigned count = ::io_uring_peek_batch_cqe(&ring_, answers.data(), answers.size());
    ::io_uring_cq_advance(&ring_, count);
    return count;
  }

  owned_descriptor bell_;
  io_uring ring_{};
  int setup_error_;
  pid_map<std::uint32_t> armed_;
  std::uint32_t last_generation_ = 0;
  bool look_ = false;
  pid_t rearmed_to_ = all;  // children up to this number have been armed again
};

}  // namespace

int make_exit_index_ring(std::unique_ptr<exit_index>& out) noexcept {
  std::unique_ptr<exit_index_ring> made(new (std::nothrow) exit_index_ring);
  if (!made) return UV_ENOMEM;
  int error = made->usable();
  if (error == 0) out = std::move(made);
  return error;
}

}  // namespace uvreap
