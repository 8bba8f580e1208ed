// The rung that costs no descriptor: an io_uring poll request on a pidfd. A request holds the open file, not
// the descriptor, so the pidfd is closed as soon as the request is in, and later forks have nothing to copy.
//
// What the kernel does with it, each found by trying:
// - A request on a zombie completes at once, so arming late loses nothing.
// - A request belongs to the thread that submitted it, and is cancelled when that thread ends: it is armed
// again.
// - More completions than the ring holds are kept by the kernel; liburing's batch peek flushes them.
// - A completion interrupts the submitting thread's blocking calls with EINTR, although no handler runs.
// - A forked child could use this ring without an error: a forked copy never gets here.
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "exit_index.hpp"
#include "pid_map.hpp"
#include "syscalls.hpp"

namespace uvreap {
namespace {

constexpr unsigned submissions = 8;  // one at a time, and each is submitted at once
constexpr unsigned completions = 1024;

class exit_index_ring final : public exit_index {
 public:
  exit_index_ring() noexcept {
    io_uring_params params{};
    params.flags = IORING_SETUP_CQSIZE;
    params.cq_entries = completions;
    setup_error_ = ::io_uring_queue_init_params(submissions, &ring_, &params);
  }

  ~exit_index_ring() override {
    if (setup_error_ == 0) ::io_uring_queue_exit(&ring_);  // unmaps and closes; the last closer ends the ring
  }

  [[nodiscard]] int usable() noexcept {
    if (setup_error_ != 0) return uv_translate_sys_error(-setup_error_);
    if (!make_room()) return UV_ENOMEM;
    if (int error = arm(::getpid()); error != 0) return error;
    unsigned refusals = drain();  // of a living process there is no completion, unless it is a refusal
    give_up(::getpid());
    drain();  // the withdrawal's
    return refusals == 0 ? 0 : UV_ENOTSUP;
  }

  [[nodiscard]] bool make_room() noexcept override { return armed_.make_room(); }

  int arm(pid_t pid) noexcept override {
    int pidfd = sys::pidfd_open(pid);
    if (pidfd < 0) return uv_translate_sys_error(errno);
    std::uint32_t generation = ++last_generation_;
    int error = submit([&](io_uring_sqe* entry) {
      ::io_uring_prep_poll_add(entry, pidfd, POLLIN);
      entry->user_data = tag(pid, generation);
    });
    ::close(pidfd);
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
    if (!look_) return 0;
    std::array<io_uring_cqe*, 16> answers{};
    std::array<pid_t, 16> cancelled{};
    std::size_t rearm = 0;
    std::size_t count = 0;
    auto limit = static_cast<unsigned>(std::min(answers.size(), out.size()));
    unsigned got = ::io_uring_peek_batch_cqe(&ring_, answers.data(), limit);
    look_ = got != 0;
    for (unsigned i = 0; i < got; ++i) {
      pid_t pid = pid_of(answers[i]->user_data);
      std::uint32_t* generation = armed_.find(pid);
      if (generation == nullptr || tag(pid, *generation) != answers[i]->user_data)
        continue;  // an older child's
      armed_.remove(pid);
      if (answers[i]->res == -ECANCELED) {
        cancelled[rearm++] = pid;
      } else {
        out[count++] = {pid, notice::index};
      }
    }
    ::io_uring_cq_advance(&ring_, got);
    for (std::size_t i = 0; i < rearm; ++i) {
      // The thread that armed it has ended. If it cannot be armed again, naming it leads it down the ladder.
      if (!make_room() || arm(cancelled[i]) != 0) out[count++] = {cancelled[i], notice::index};
    }
    return count;
  }

  [[nodiscard]] bool has_more() const noexcept override { return look_; }
  [[nodiscard]] int descriptor() const noexcept override { return ring_.ring_fd; }

  // liburing closes what is in ring_: a copy of it, then (or -1, if there is none to be had).
  void leave_descriptor() noexcept override { ring_.ring_fd = ::fcntl(ring_.ring_fd, F_DUPFD_CLOEXEC, 0); }

  void describe(statistics& stats) const noexcept override {
    stats.index = index_kind::ring;
    stats.on_ring = stats.indexed = armed_.size();
  }

 private:
  static constexpr std::uint64_t nobodys = 0;

  // The generation keeps a completion of an older child from speaking for a younger one with the same number.
  static std::uint64_t tag(pid_t pid, std::uint32_t generation) noexcept {
    return std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(pid);
  }
  static pid_t pid_of(std::uint64_t tag) noexcept { return static_cast<pid_t>(tag & 0xffff'ffff); }

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

  unsigned drain() noexcept {
    std::array<io_uring_cqe*, 4> answers{};
    unsigned count = ::io_uring_peek_batch_cqe(&ring_, answers.data(), answers.size());
    ::io_uring_cq_advance(&ring_, count);
    return count;
  }

  io_uring ring_{};
  int setup_error_;
  pid_map<std::uint32_t> armed_;
  std::uint32_t last_generation_ = 0;
  bool look_ = false;
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
