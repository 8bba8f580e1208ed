// The design's floor on io_uring: a poll request on each pidfd, and the pidfds of the first 64 children held.
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <atomic>

#include "lean.hpp"

namespace bench {
namespace {

constexpr std::size_t held = 64;  // as many as uvreap holds beside a ring
constexpr unsigned submissions = 8;
constexpr unsigned completions = 1024;

class lean_ring : public lean {
 public:
  using lean::lean;

 private:
  std::string open(int& polled) override {
    polled = bell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    io_uring_params params{};
    params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_TASKRUN_FLAG;
    params.cq_entries = completions;
    if (::io_uring_queue_init_params(submissions, &ring_, &params) != 0) {
      return "io_uring with DEFER_TASKRUN (Linux 6.1) is not available";
    }
    return ::io_uring_register_eventfd(&ring_, bell_) == 0 ? "" : "io_uring_register_eventfd failed";
  }

  bool arm(pid_t pid, int pidfd, std::size_t living) override {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_poll_add(entry, pidfd, POLLIN);
    entry->user_data = static_cast<std::uint64_t>(pid);
    if (::io_uring_submit(&ring_) != 1) throw std::runtime_error("io_uring_submit failed");
    return living < held;
  }

  void disarm(int) override {}  // the request has completed

  bool look_at_named() override {
    ask();
    std::array<io_uring_cqe*, 64> answers{};
    unsigned found = ::io_uring_peek_batch_cqe(&ring_, answers.data(), answers.size());
    std::array<pid_t, 64> named{};
    for (unsigned at = 0; at < found; ++at) named[at] = static_cast<pid_t>(answers[at]->user_data);
    ::io_uring_cq_advance(&ring_, found);
    for (unsigned at = 0; at < found; ++at) look_at(named[at]);
    if (found == 0) return false;
    eventfd_t times = 0;
    (void)::eventfd_read(bell_, &times);
    return ::io_uring_cq_ready(&ring_) != 0 || keeps_some();
  }

  // The kernel keeps what is ready until it is asked; ring.cpp of uvreap says why its flag is cleared first.
  void ask() {
    if (::io_uring_cq_ready(&ring_) != 0 || !keeps_some()) return;
    std::atomic_ref(*ring_.sq.kflags).fetch_and(~IORING_SQ_TASKRUN);
    ::io_uring_get_events(&ring_);
  }

  bool keeps_some() {
    return (std::atomic_ref(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }

  int bell_ = -1;
  io_uring ring_{};
};

engine_entry entry(const char* name, bool with_sigchld) {
  return {.name = name, .version = uv_version(), .make = maker<lean_ring>(with_sigchld)};
}

}  // namespace

std::vector<engine_entry> lean_ring_entries() {
  return {entry("lean_ring", false), entry("lean_ring_sigchld", true)};
}

}  // namespace bench
