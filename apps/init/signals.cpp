#include "signals.hpp"

#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace pid1 {
namespace {

sigset_t all_signals() {
  sigset_t all;
  ::sigfillset(&all);
  return all;
}

sigset_t set_of(int signum) {
  sigset_t one;
  ::sigemptyset(&one);
  ::sigaddset(&one, signum);
  return one;
}

bool is_ignored(int signum) {
  struct sigaction action {};
  ::sigaction(signum, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

}  // namespace

inherited_signals::inherited_signals() : ignores_sigchld_(is_ignored(SIGCHLD)) {
  sigset_t all = all_signals();
  ::sigprocmask(SIG_SETMASK, &all, &mask_);
  if (ignores_sigchld_) ::signal(SIGCHLD, SIG_DFL);  // else the child would leave no status
}

void inherited_signals::give_back() const {
  if (ignores_sigchld_) ::signal(SIGCHLD, SIG_IGN);  // we change no other
  ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
}

void inherited_signals::forget(int signum) {
  sigset_t one = set_of(signum);
  constexpr timespec at_once{};
  (void)::sigtimedwait(&one, nullptr, &at_once);
}

signal_feed::signal_feed(uv_loop_t& loop, std::function<void(int signum)> tell)
    : loop_(loop), tell_(std::move(tell)) {}

signal_feed::~signal_feed() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int signal_feed::start() {
  sigset_t all = all_signals();
  descriptor_ = ::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor_ < 0) return uv_translate_sys_error(errno);
  if (int error = uv_poll_init(&loop_, &handle_, descriptor_); error != 0) return error;
  handle_.data = this;
  auto readable = [](uv_poll_t* handle, int, int) { static_cast<signal_feed*>(handle->data)->read(); };
  return uv_poll_start(&handle_, UV_READABLE, readable);
}

// One read a turn: whoever sends without pause does not keep us from reaping.
void signal_feed::read() {
  std::array<signalfd_siginfo, 32> waiting;
  ssize_t length = ::read(descriptor_, waiting.data(), sizeof waiting);
  if (length <= 0) return;
  auto count = static_cast<std::size_t>(length) / sizeof waiting[0];
  for (std::size_t i = 0; i < count; ++i) tell_(static_cast<int>(waiting[i].ssi_signo));
}

}  // namespace pid1
