#include "uvreap/process.hpp"

#include <uv.h>

#include <cerrno>

#include "make/spawner.hpp"
#include "os/always_assert.hpp"
#include "os/c_library.hpp"
#include "os/signals_blocked.hpp"
#include "os/syscalls.hpp"

namespace uvreap::inline v0 {
namespace {

// The parent's handlers would write into the signal pipes that the child shares with it. SIGPIPE and SIGCHLD
// are reset even from "ignored": servers ignore the one, and under the other the child's own children leave
// no status.
void forget_the_parents_signals() noexcept {
  for (int signum = 1; signum < NSIG; ++signum) {
    struct ::sigaction action {};
    if (sys::sigaction(signum, nullptr, &action) != 0) continue;  // 32 and 33 are the C library's
    bool ignored = sys::is_set_to(action, SIG_IGN);
    bool by_default = sys::is_set_to(action, SIG_DFL);
    if (signum != SIGCHLD && by_default) continue;  // SIGCHLD: the default with SA_NOCLDWAIT is ignoring, too
    if (ignored && signum != SIGPIPE && signum != SIGCHLD) continue;
    action = {};
    action.sa_handler = SIG_DFL;
    sys::sigaction(signum, &action, nullptr);
  }
}

}  // namespace

int fork(pid_t* out) {
  assert(out != nullptr);
  signals_blocked guard;
  spawner::pause pause;
  pid_t pid = sys::fork();
  if (pid < 0) return uv_translate_sys_error(errno);
  if (pid == 0) {
    pause.close_descriptors_in_copy();
    forget_the_parents_signals();
    // Registered last, so it runs first at exit(): before libuv's destructor, which joins threads that the
    // child does not have (libuv #4443), and before any static object of the parent's.
    c_library::make_exit_immediate();
  }
  *out = pid;
  return 0;
}

}  // namespace uvreap::inline v0
