#include "signals.hpp"

#include <signal.h>

#include <utility>

namespace {

// signal(7), but for SIGPIPE and SIGXFSZ, which are ignored: the write says it, too.
std::vector<int> deadly_signals() {
  std::vector<int> all{SIGHUP,    SIGINT,  SIGQUIT, SIGUSR1,   SIGUSR2, SIGALRM, SIGTERM,
                       SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO,   SIGPWR};
  for (int signum = SIGRTMIN; signum <= SIGRTMAX; ++signum) all.push_back(signum);
  return all;
}

bool is_ignored(int signum) {
  struct sigaction action {};
  return ::sigaction(signum, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

signals::signals(uv_loop_t& loop, std::function<void(int signum)> tell)
    : loop_(loop), tell_(std::move(tell)) {}

int signals::start() {
  for (int signum : deadly_signals()) {
    if (signum != SIGTERM && is_ignored(signum)) continue;
    uv_signal_t* handle = handles_.emplace_back(std::make_unique<uv_signal_t>()).get();
    uv_signal_init(&loop_, handle);
    handle->data = this;
    auto told = [](uv_signal_t* from, int number) { static_cast<signals*>(from->data)->tell_(number); };
    if (int error = uv_signal_start(handle, told, signum); error != 0) return error;
    uv_unref(reinterpret_cast<uv_handle_t*>(handle));
  }
  return 0;
}

void signals::close() {
  for (const auto& handle : handles_) uv_close(reinterpret_cast<uv_handle_t*>(handle.get()), nullptr);
}
