#include "sigchld.hpp"

#include "syscalls.hpp"

namespace uvreap {
namespace {

bool leaves_no_status(const struct ::sigaction& action) noexcept {
  bool set_to_ignore = (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_IGN;
  return set_to_ignore || (action.sa_flags & SA_NOCLDWAIT) != 0;
}

bool is_a_function(const struct ::sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 || (action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL);
}

bool same_handler(const struct ::sigaction& one, const struct ::sigaction& other) noexcept {
  return one.sa_handler == other.sa_handler;  // in one union with sa_sigaction
}

}  // namespace

int sigchld::open(uv_loop_t& loop, void* data, uv_signal_cb heard, std::shared_ptr<void> farewell) noexcept {
  heard_ = heard;
  return handle_.open([&](uv_signal_t* handle) { return uv_signal_init(&loop, handle); }, data,
                      std::move(farewell));
}

int sigchld::listen() noexcept {
  if (listening_) return 0;
  if (int error = uv_signal_start(handle_.get(), heard_, SIGCHLD); error != 0) return error;
  listening_ = true;
  // If another libuv handle was there first, libuv installed nothing now, and what stands may be an ignoring one that
  // somebody set since: then there is no handler to put back, and health() says so.
  sys::sigaction(SIGCHLD, nullptr, &ours_);
  return 0;
}

void sigchld::repair() const noexcept {
  struct ::sigaction now {};
  if (!listening_ || !is_a_function(ours_) || sys::sigaction(SIGCHLD, nullptr, &now) != 0) return;
  bool ours_to_mend = !is_a_function(now) || (same_handler(now, ours_) && leaves_no_status(now));
  if (ours_to_mend) sys::sigaction(SIGCHLD, &ours_, nullptr);
}

bool sigchld::ignored() noexcept {
  struct ::sigaction now {};
  return sys::sigaction(SIGCHLD, nullptr, &now) == 0 && leaves_no_status(now);
}

sigchld_health sigchld::health(bool unheard) const noexcept {
  if (ignored()) return sigchld_health::ignored;
  sigset_t mask;
  sigset_t pending;
  sigemptyset(&mask);
  sigemptyset(&pending);
  sys::thread_mask(SIG_BLOCK, nullptr, &mask);
  sys::sigpending(&pending);
  if (sigismember(&mask, SIGCHLD) == 1 && sigismember(&pending, SIGCHLD) == 1) return sigchld_health::blocked;
  return listening_ && unheard ? sigchld_health::unheard : sigchld_health::healthy;
}

}  // namespace uvreap
