// The rung that costs no descriptor: an io_uring poll request on a pidfd. A request holds the open file, not
// the descriptor, so the pidfd is closed as soon as the request is in, and later forks have nothing to copy.
//
// The kernel keeps what is ready until it is asked for (DEFER_TASKRUN, Linux 6.1), and from 6.13 on gives
// about 20 a call. Without that the exits of a burst are worked off all at once wherever the loop's thread
// happens to be, and a pass of it took up to 16 ms. Such a ring's own descriptor wakes nobody; it rings a
// bell, an eventfd, which is what the loop polls.
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
#include "os/descriptor.hpp"
#include "child/pid_map.hpp"
#include "os/syscalls.hpp"

namespace uvreap {
namespace {

constexpr unsigned submissions = 8;  // one at a time, and each is submitted at once
constexpr unsigned completions = 1024;
constexpr unsigned keeps_what_is_ready =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

class exit_index_ring final : public exit_index {
 public:
  exit_index_ring() noexcept : bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~exit_index_ring() override { close(); }

  [[nodiscard]] int usable() noexcept {
    if (!bell_) return uv_translate_sys_error(errno);
    if (!make_room()) return UV_ENOMEM;
    if (int error = arm(::getpid()); error != 0) return error;
    unsigned refusals = drain();  // of a living process there is no completion, unless it is a refusal
    give_up(::getpid());
    // That of the withdrawal, and that of the request.
    for (int tries = 0; tries < 4 && has_news(); ++tries) drain();
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
    if (error == UV_EEXIST) {
      begin_anew();
      error = submit(poll);
    }
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
    if (who == notice::backend) look_ = true;
  }

  [[nodiscard]] std::size_t take(std::span<candidate> out) noexcept override {
    if (rearmed_to_ != all) return rearm(out);
    if (!look_) return 0;
    if (ask() == -EEXIST) begin_anew();
    if (!is_open_) return rest(), 0;
    std::array<io_uring_cqe*, 16> answers{};
    std::array<pid_t, 16> cancelled{};
    std::size_t to_rearm = 0;
    std::size_t count = 0;
    auto limit = static_cast<unsigned>(std::min(answers.size(), out.size()));
    unsigned got = ::io_uring_peek_batch_cqe(&ring_, answers.data(), limit);
    for (unsigned i = 0; i < got; ++i) {
      pid_t pid = pid_of(answers[i]->user_data);
      std::uint32_t* generation = armed_.find(pid);
      if (generation == nullptr || tag(pid, *generation) != answers[i]->user_data)
        continue;  // an older child's
      if (answers[i]->res == -ECANCELED) {
        cancelled[to_rearm++] = pid;  // the thread that armed it has ended
      } else {
        armed_.remove(pid);
        out[count++] = {pid, notice::backend};
      }
    }
    ::io_uring_cq_advance(&ring_, got);
    for (std::size_t i = 0; i < to_rearm; ++i) count += arm_or_name(cancelled[i], out[count]);
    if (!has_news()) rest();
    return count;
  }

  [[nodiscard]] bool has_more() const noexcept override { return look_ || rearmed_to_ != all; }
  [[nodiscard]] int descriptor() const noexcept override { return bell_.get(); }

  void leave_descriptor() noexcept override { (void)bell_.release(); }

  void describe(statistics& stats) const noexcept override {
    stats.backend = backend_kind::ring;
    stats.on_ring = stats.on_backend = armed_.size();
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

  // ---- the ring itself

  [[nodiscard]] int open() noexcept {
    if (is_open_) return 0;
    int error = set_up(moves_ > 1 ? 0 : keeps_what_is_ready);
    if (error == -EINVAL) error = set_up(0);  // a kernel before 6.1
    if (error != 0) return uv_translate_sys_error(-error);
    is_open_ = true;
    error = ::io_uring_register_eventfd(&ring_, bell_.get());
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
    // Not taken, and it cannot be taken back. It must not go in later, when the descriptor in it is
    // another's.
    ::io_uring_prep_nop(entry);
    entry->user_data = nobodys;
    return result < 0 ? uv_translate_sys_error(-result) : UV_EAGAIN;
  }

  // Has the kernel give some of what it keeps, if we have none left. It may leave its flag standing when it
  // has given all (an exit that comes during the call and goes with it), so the flag is cleared first: what
  // came before is given by this call, and what is left or comes later sets it again.
  int ask() noexcept {
    if (!has_news() || ::io_uring_cq_ready(&ring_) != 0) return 0;
    flags().fetch_and(~IORING_SQ_TASKRUN);
    return ::io_uring_get_events(&ring_);
  }

  [[nodiscard]] bool has_news() noexcept {
    if (!is_open_) return false;
    return ::io_uring_cq_ready(&ring_) != 0 || (flags() & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }

  [[nodiscard]] std::atomic_ref<unsigned> flags() noexcept { return std::atomic_ref(*ring_.sq.kflags); }

  unsigned drain() noexcept {
    (void)ask();
    std::array<io_uring_cqe*, 4> answers{};
    unsigned count = ::io_uring_peek_batch_cqe(&ring_, answers.data(), answers.size());
    ::io_uring_cq_advance(&ring_, count);
    return count;
  }

  // Until the bell rings, which it has done for what we asked for, too. Silenced first, looked at second.
  void rest() noexcept {
    eventfd_t rung = 0;
    (void)::eventfd_read(bell_.get(), &rung);
    look_ = has_news();
  }

  // ---- when the loop has moved to another thread

  void begin_anew() noexcept {
    close();
    ++moves_;
    rearmed_to_ = none;
    (void)::eventfd_write(bell_.get(), 1);  // nobody else may make a pass due
  }

  // Some at a time.
  [[nodiscard]] std::size_t rearm(std::span<candidate> out) noexcept {
    std::size_t count = 0;
    for (std::size_t tried = 0; tried < out.size(); ++tried) {
      pid_t pid = armed_.first_above(rearmed_to_);
      rearmed_to_ = pid == 0 ? all : pid;
      if (pid == 0) break;
      count += arm_or_name(pid, out[count]);
    }
    return count;
  }

  // Who cannot be armed is named: that leads it down the ladder. The number of those that were named.
  [[nodiscard]] std::size_t arm_or_name(pid_t pid, candidate& named) noexcept {
    if (arm(pid) == 0) return 0;
    armed_.remove(pid);
    named = {pid, notice::backend};
    return 1;
  }

  owned_descriptor bell_;
  io_uring ring_{};
  bool is_open_ = false;
  pid_map<std::uint32_t> armed_;
  std::uint32_t last_generation_ = 0;
  bool look_ = false;
  int moves_ = 0;
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
