#include "init_signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace pid1 {
namespace {

// All but SIGCHLD, which the reaper has a handler for.
sigset_t held_back() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigdelset(&all, SIGCHLD);
  return all;
}

bool is_ignored(int signum) {
  struct sigaction action {};
  ::sigaction(signum, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

}  // namespace

inherited_signals::inherited_signals()
    : ignores_sigpipe_(is_ignored(SIGPIPE)), ignores_sigchld_(is_ignored(SIGCHLD)) {
  sigset_t blocked = held_back();
  ::sigprocmask(SIG_SETMASK, &blocked, &mask_);
}

void inherited_signals::give_back() const {
  // What uvreap::fork sets to the default even if it was ignored. We change no other disposition.
  if (ignores_sigpipe_) ::signal(SIGPIPE, SIG_IGN);
  if (ignores_sigchld_) ::signal(SIGCHLD, SIG_IGN);
  ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
}

signal_feed::signal_feed(uv_loop_t& loop, std::function<void(int signum)> tell)
    : loop_(loop), tell_(std::move(tell)) {}

signal_feed::~signal_feed() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int signal_feed::start() {
  sigset_t blocked = held_back();
  descriptor_ = ::signalfd(-1, &blocked, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor_ < 0) return uv_translate_sys_error(errno);
  if (int error = uv_poll_init(&loop_, &handle_, descriptor_); error != 0) return error;
  handle_.data = this;
  auto readable = [](uv_poll_t* handle, int, int) { static_cast<signal_feed*>(handle->data)->read(); };
  return uv_poll_start(&handle_, UV_READABLE, readable);
}

void signal_feed::close() {
  if (handle_.data != nullptr) uv_close(reinterpret_cast<uv_handle_t*>(&handle_), nullptr);
  handle_.data = nullptr;
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
