// The C face: checks for NULL, turns what it is given into C++ and what comes of it into C, and has no logic
// of its own. Every call goes through guarded(), so that no exception gets into C.
#include "uvreap.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <new>
#include <sstream>
#include <string>
#include <utility>

#include "c/given.hpp"
#include "c/made.hpp"
#include "c/sized.hpp"
#include "uvreap/process.hpp"
#include "uvreap/reaper.hpp"

struct uvreap_s {
  uvreap::reaper reaper;
  bool is_being_freed = false;  // which calls started() of what is not made any more
};

namespace {

using std::chrono::milliseconds;
namespace c = uvreap::c;

// Of what a call throws std::bad_alloc alone is foreseen; any other exception is a fault of the library's
// own.
template <class Call>
int guarded(Call call) noexcept try {
  return call();
} catch (const std::bad_alloc&) {
  return UV_ENOMEM;
}

template <class... Pointer>
bool is_any_null(Pointer... pointers) noexcept {
  return ((pointers == nullptr) || ...);
}

// A call that takes a child on: call(options, callback).
template <class Call>
int with_watch(const uvreap_watch_options_t* options, uvreap_exit_cb on_exit, void* data,
               Call call) noexcept {
  return guarded([&] {
    uvreap::watch_options wanted;
    if (int error = c::from(options, data, wanted); error != 0) return error;
    return call(std::move(wanted), c::from(on_exit, data));
  });
}

template <class Value>
int write_text(const Value& value, char* buffer, size_t size) noexcept {
  if (buffer == nullptr && size != 0) return UV_EINVAL;
  return guarded([&] {
    std::ostringstream out;
    out << value;
    std::string text = std::move(out).str();
    if (size != 0) {
      size_t length = std::min(size - 1, text.size());
      std::memcpy(buffer, text.data(), length);
      buffer[length] = '\0';
    }
    return static_cast<int>(text.size());
  });
}

}  // namespace

// ---- A reaper
// -------------------------------------------------------------------------------------------------

int uvreap_new(uvreap_t** out, uv_loop_t* loop, const uvreap_options_t* options) {
  if (is_any_null(out, loop)) return UV_EINVAL;
  return guarded([&] {
    uvreap::options wanted;
    if (int error = c::from(options, wanted); error != 0) return error;
    *out = new uvreap_s{uvreap::reaper(*loop, std::move(wanted))};
    return 0;
  });
}

int uvreap_start(uvreap_t* one) {
  if (one == nullptr || one->is_being_freed) return UV_EINVAL;
  return guarded([&] { return one->reaper.start(); });
}

int uvreap_close(uvreap_t* one, uvreap_done_cb done, void* data) {
  if (one == nullptr) return UV_EINVAL;
  return guarded([&] {
    return done == nullptr ? one->reaper.close() : one->reaper.close([done, data] { done(data); });
  });
}

void uvreap_free(uvreap_t* one) {
  if (one == nullptr || std::exchange(one->is_being_freed, true)) return;
  delete one;
}

// ---- Children that are there
// ----------------------------------------------------------------------------------

int uvreap_watch(uvreap_t* one, pid_t pid, const uvreap_watch_options_t* options, uvreap_exit_cb on_exit,
                 void* data) {
  if (one == nullptr) return UV_EINVAL;
  return with_watch(options, on_exit, data, [&](uvreap::watch_options&& wanted, uvreap::callback&& tell) {
    return one->reaper.watch(pid, std::move(wanted), std::move(tell));
  });
}

int uvreap_watch_pidfd(uvreap_t* one, int pidfd, const uvreap_watch_options_t* options,
                       uvreap_exit_cb on_exit, void* data) {
  if (one == nullptr) return UV_EINVAL;
  return with_watch(options, on_exit, data, [&](uvreap::watch_options&& wanted, uvreap::callback&& tell) {
    return one->reaper.watch_pidfd(pidfd, std::move(wanted), std::move(tell));
  });
}

int uvreap_post_watch(uvreap_t* one, pid_t pid, uvreap_exit_cb on_exit, void* data) {
  if (one == nullptr) return UV_EINVAL;
  return guarded([&] { return one->reaper.post_watch(pid, c::from(on_exit, data)), 0; });
}

int uvreap_release(uvreap_t* one, pid_t pid) {
  return one == nullptr ? UV_EINVAL : guarded([&] { return one->reaper.release(pid); });
}

int uvreap_detach(uvreap_t* one, pid_t pid) {
  return one == nullptr ? UV_EINVAL : guarded([&] { return one->reaper.detach(pid); });
}

int uvreap_exclude(uvreap_t* one, pid_t pid) {
  return one == nullptr ? UV_EINVAL : guarded([&] { return one->reaper.exclude(pid); });
}

int uvreap_kill(uvreap_t* one, pid_t pid, int signum) {
  return one == nullptr ? UV_EINVAL : guarded([&] { return one->reaper.kill(pid, signum); });
}

int uvreap_terminate(uvreap_t* one, pid_t pid, int64_t grace_ms) {
  return one == nullptr ? UV_EINVAL
                        : guarded([&] { return one->reaper.terminate(pid, milliseconds(grace_ms)); });
}

// ---- Children that are to be made
// -----------------------------------------------------------------------------

int uvreap_spawn(uvreap_t* one, pid_t* pid, const uvreap_command_t* command,
                 const uvreap_watch_options_t* options, uvreap_exit_cb on_exit, void* data) {
  if (is_any_null(one, pid, command)) return UV_EINVAL;
  return with_watch(options, on_exit, data, [&](uvreap::watch_options&& wanted, uvreap::callback&& tell) {
    uvreap::command what;
    if (int error = c::from(*command, what); error != 0) return error;
    return one->reaper.spawn(pid, what, std::move(wanted), std::move(tell));
  });
}

int uvreap_spawn_async(uvreap_t* one, const uvreap_command_t* command, const uvreap_watch_options_t* options,
                       uvreap_started_cb started, uvreap_exit_cb on_exit, void* data) {
  if (is_any_null(one, command, started)) return UV_EINVAL;
  return with_watch(options, on_exit, data, [&](uvreap::watch_options&& wanted, uvreap::callback&& tell) {
    uvreap::command what;
    if (int error = c::from(*command, what); error != 0) return error;
    auto tell_started = [started, data](int error, pid_t pid) { started(error, pid, data); };
    return one->reaper.spawn_async(what, std::move(wanted), tell_started, std::move(tell));
  });
}

int uvreap_fork(uvreap_t* one, pid_t* pid, uvreap_main_cb child_main, const uvreap_watch_options_t* options,
                uvreap_exit_cb on_exit, void* data) {
  if (is_any_null(one, pid, child_main)) return UV_EINVAL;
  return with_watch(options, on_exit, data, [&](uvreap::watch_options&& wanted, uvreap::callback&& tell) {
    auto run = [child_main, data] { return child_main(data); };
    return one->reaper.fork(pid, run, std::move(wanted), std::move(tell));
  });
}

// ---- Signals, forked copies, figures
// --------------------------------------------------------------------------

int uvreap_sigchld_arrived(uvreap_t* one) {
  return one == nullptr ? UV_EINVAL : guarded([&] { return one->reaper.sigchld_arrived(); });
}

int uvreap_after_fork(uvreap_t* one) {
  return one == nullptr ? UV_EINVAL : guarded([&] { return one->reaper.after_fork(); });
}

int uvreap_stats(const uvreap_t* one, uvreap_stats_t* out) {
  if (is_any_null(one, out) || !c::is_sound_size(*out)) return UV_EINVAL;
  return guarded([&] { return c::give(c::made_of(one->reaper.stats()), *out), 0; });
}

// ---- Without a reaper
// -----------------------------------------------------------------------------------------

int uvreap_process_fork(pid_t* pid) {
  return pid == nullptr ? UV_EINVAL : guarded([&] { return uvreap::fork(pid); });
}

int uvreap_process_spawn(pid_t* pid, const uvreap_command_t* command) {
  if (is_any_null(pid, command)) return UV_EINVAL;
  return guarded([&] {
    uvreap::command what;
    if (int error = c::from(*command, what); error != 0) return error;
    return uvreap::spawn(pid, what);
  });
}

pid_t uvreap_process_wait4(pid_t which, int options, int* status, uvreap_usage_t* usage) {
  using uvreap::scope;
  scope children = which == -1  ? scope::any()
                   : which == 0 ? scope::in_own_group()
                   : which > 0  ? scope::one(which)
                               // There is no group whose negative is INT_MIN, and 0 is none for in_group().
                               : scope::in_group(which == INT_MIN ? 0 : -which);
  auto [pid, error, word, used] = uvreap::wait4(children, options);
  if (error != 0) return error;
  if (pid != 0 && status != nullptr) *status = word.raw();
  if (pid != 0 && usage != nullptr) *usage = c::made_of(used);
  return pid;
}

int uvreap_become_subreaper(void) { return uvreap::become_subreaper(); }

// ---- As text
// --------------------------------------------------------------------------------------------------

int uvreap_status_text(int status, char* buffer, size_t size) {
  return write_text(uvreap::wait_status(status), buffer, size);
}

int uvreap_usage_text(const uvreap_usage_t* usage, char* buffer, size_t size) {
  return usage == nullptr ? UV_EINVAL : write_text(c::read(*usage), buffer, size);
}

int uvreap_exit_text(const uvreap_exit_t* exit, char* buffer, size_t size) {
  return exit == nullptr ? UV_EINVAL : write_text(c::read(*exit), buffer, size);
}

int uvreap_change_text(const uvreap_change_t* change, char* buffer, size_t size) {
  return change == nullptr ? UV_EINVAL : write_text(c::read(*change), buffer, size);
}

int uvreap_stats_text(const uvreap_stats_t* stats, char* buffer, size_t size) {
  uvreap_stats_t known{};
  if (stats == nullptr) return UV_EINVAL;
  if (int error = c::take(*stats, known); error != 0) return error;
  return write_text(c::read(known), buffer, size);
}

int uvreap_notice_text(int notice, char* buffer, size_t size) {
  return write_text(static_cast<uvreap::notice>(notice), buffer, size);
}

int uvreap_backend_text(int backend, char* buffer, size_t size) {
  return write_text(static_cast<uvreap::backend_kind>(backend), buffer, size);
}

int uvreap_sigchld_health_text(int health, char* buffer, size_t size) {
  return write_text(static_cast<uvreap::sigchld_health>(health), buffer, size);
}
