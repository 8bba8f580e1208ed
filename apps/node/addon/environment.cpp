#include "environment.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "values.hpp"

namespace addon {
namespace {

bool is_main_thread() noexcept { return ::syscall(SYS_gettid) == ::getpid(); }

// A child of child_process: libuv waits for it, and would never tell of its end if it were reaped here.
bool is_of_libuv(uv_loop_t* loop, pid_t pid) noexcept {
  struct search {
    pid_t pid;
    bool is_found;
  } wanted{pid, false};
  uv_walk(
      loop,
      [](uv_handle_t* handle, void* data) {
        auto& search_for = *static_cast<search*>(data);
        if (handle->type != UV_PROCESS || uv_is_active(handle) == 0) return;
        pid_t its = uv_process_get_pid(reinterpret_cast<uv_process_t*>(handle));
        if (its == search_for.pid) search_for.is_found = true;
      },
      &wanted);
  return wanted.is_found;
}

uvreap_watch_options_t watch_options(std::int64_t timeout_ms, std::int64_t grace_ms) noexcept {
  uvreap_watch_options_t options{};
  options.size = sizeof options;
  options.timeout_ms = timeout_ms;
  options.grace_ms = grace_ms == 0 ? UVREAP_NONE : grace_ms;
  return options;
}

// Node marks 0, 1 and 2 close-on-exec when it starts, so a child that is to have one gets a copy.
uvreap_stdio_t stdio_of(const std::string& word, int number) noexcept {
  uvreap_stdio_t stdio{};
  stdio.kind = word == "inherit" ? UVREAP_STDIO_DESCRIPTOR : UVREAP_STDIO_NULL;
  stdio.descriptor = number;
  return stdio;
}

}  // namespace

environment::environment(napi_env env, uv_loop_t* loop) noexcept : env_(env), loop_(loop) {}

// ---- Its life

napi_status environment::begin() noexcept {
  auto ends = [](napi_async_cleanup_hook_handle handle, void* data) {
    static_cast<environment*>(data)->end(handle);
  };
  return napi_add_async_cleanup_hook(env_, ends, this, nullptr);
}

void environment::end(napi_async_cleanup_hook_handle handle) noexcept {
  ending_ = handle;
  ++closing_;  // what is closed with no more ado must not free this twice
  retire(watcher_);
  retire(orphans_);
  --closing_;
  free_if_closed();
}

void environment::free_if_closed() noexcept {
  if (ending_ == nullptr || closing_ != 0) return;
  napi_remove_async_cleanup_hook(ending_);
  delete this;
}

int environment::start(owned_reaper*& out, const uvreap_options_t& options) {
  auto fresh = std::make_unique<owned_reaper>(owned_reaper{nullptr, this});
  if (int error = uvreap_new(&fresh->reaper, loop_, &options); error != 0) return error;
  if (int error = uvreap_start(fresh->reaper); error != 0) {
    auto* failed = fresh.release();
    retire(failed);
    return error;
  }
  out = fresh.release();
  return 0;
}

int environment::start_watcher() {
  if (watcher_ != nullptr) return 0;
  uvreap_options_t options{};
  options.size = sizeof options;
  options.sigchld = UVREAP_SIGCHLD_WHEN_NEEDED;  // or every child of child_process would cost a sweep
  options.spawn_queue = 1 << 16;                 // descriptors run out first, and say so
  return start(watcher_, options);
}

void environment::retire(owned_reaper*& one) noexcept {
  auto* gone = std::exchange(one, nullptr);
  if (gone == nullptr) return;
  ++closing_;
  if (uvreap_close(gone->reaper, on_closed, gone) != 0) on_closed(gone);  // no memory to wait with
}

void environment::on_closed(void* data) noexcept {
  std::unique_ptr<owned_reaper> gone(static_cast<owned_reaper*>(data));
  uvreap_free(gone->reaper);
  --gone->owner->closing_;
  gone->owner->free_if_closed();
}

// ---- To JavaScript

// napi_make_callback runs what waits for promises, too, as Node's own callbacks do. What the function throws
// is an uncaught error, as it is in a listener.
template <class MakeArguments>
bool environment::call(napi_ref whom, MakeArguments make) noexcept {
  napi_handle_scope scope = nullptr;
  if (ending_ != nullptr || napi_open_handle_scope(env_, &scope) != napi_ok) return false;
  napi_value function = nullptr;
  napi_value global = nullptr;
  napi_get_reference_value(env_, whom, &function);
  napi_get_global(env_, &global);
  auto values = make();
  napi_status status =
      napi_make_callback(env_, nullptr, global, function, values.size(), values.data(), nullptr);
  napi_value error = nullptr;
  bool has_thrown =
      status == napi_pending_exception && napi_get_and_clear_last_exception(env_, &error) == napi_ok;
  if (has_thrown) napi_fatal_exception(env_, error);
  napi_close_handle_scope(env_, scope);
  return status == napi_ok || has_thrown;
}

void environment::tell_exit(std::uint32_t id, const uvreap_exit_t& exit, bool with_output) noexcept {
  call(exited_, [&] {
    return std::array{made_of(env_, std::int64_t{id}), made_of(env_, exit, with_output)};
  });
}

template <bool WithOutput>
void environment::on_exit(const uvreap_exit_t* exit, void* data) noexcept {
  child one = *static_cast<child*>(data);
  one.owner->children_.erase(one.id);
  one.owner->tell_exit(one.id, *exit, WithOutput);
}

void environment::on_orphan(const uvreap_exit_t* exit, void* data) noexcept {
  static_cast<environment*>(data)->tell_exit(0, *exit, false);
}

void environment::on_started(int error, pid_t pid, void* data) noexcept {
  child one = *static_cast<child*>(data);
  if (error != 0) one.owner->children_.erase(one.id);
  napi_env env = one.owner->env_;
  bool is_told = one.owner->call(one.owner->started_, [&] {
    return std::array{made_of(env, std::int64_t{one.id}), made_of(env, std::int64_t{error}),
                      made_of(env, std::int64_t{pid}), made_of(env, std::int64_t{one.input})};
  });
  if (!is_told && one.input >= 0) ::close(one.input);
}

environment::child& environment::add_child(std::uint32_t id) {
  return children_.try_emplace(id, child{this, id}).first->second;
}

// ---- From JavaScript

// exited, started
int environment::tell_by(arguments given) noexcept {
  bool is_kept = napi_create_reference(env_, given[0], 1, &exited_) == napi_ok &&
                 napi_create_reference(env_, given[1], 1, &started_) == napi_ok;
  return is_kept ? 0 : UV_ENOMEM;
}

// id, pid, ref, timeout, grace
int environment::watch(arguments given) {
  if (int error = start_watcher(); error != 0) return error;
  auto id = static_cast<std::uint32_t>(integer(env_, given[0]));
  auto pid = static_cast<pid_t>(integer(env_, given[1]));
  if (is_of_libuv(loop_, pid)) return UV_EBUSY;
  auto options = watch_options(integer(env_, given[3]), integer(env_, given[4]));
  options.unref = !truth(env_, given[2]);
  int error = uvreap_watch(watcher_->reaper, pid, &options, on_exit<false>, &add_child(id));
  if (error != 0) children_.erase(id);
  return error;
}

// id, command, timeout, grace
int environment::spawn(arguments given) {
  if (int error = start_watcher(); error != 0) return error;
  auto id = static_cast<std::uint32_t>(integer(env_, given[0]));
  auto of_command = [&](const char* name) { return member(env_, given[1], name); };
  string_list argv(env_, of_command("argv"));
  string_list environ(env_, of_command("environment"));
  bool has_cwd = !is_undefined(env_, of_command("cwd"));
  std::string cwd = has_cwd ? text(env_, of_command("cwd")) : std::string();
  std::int64_t limit = integer(env_, of_command("maxBuffer"));
  child& one = add_child(id);

  uvreap_command_t command{};
  command.size = sizeof command;
  command.argv = argv.get();
  command.envp = environ.get();
  command.cwd = has_cwd ? cwd.c_str() : nullptr;
  command.group = truth(env_, of_command("group")) ? UVREAP_GROUP_CREATED : UVREAP_GROUP_INHERITED;
  std::int64_t drain_ms = integer(env_, of_command("drain"));
  command.drain_ms = drain_ms == 0 ? UVREAP_NONE : drain_ms;
  auto stream_of = [&](const char* name, int number) {
    std::string word = text(env_, of_command(name));
    if (word != "pipe") return stdio_of(word, number);
    uvreap_stdio_t captured{};
    captured.kind = UVREAP_STDIO_CAPTURED;
    captured.limit = limit == 0 ? UVREAP_NONE : limit;
    return captured;
  };
  command.output = stream_of("stdout", 1);
  command.error_output = stream_of("stderr", 2);
  std::string input = text(env_, of_command("stdin"));
  command.input = stdio_of(input, 0);
  if (input == "pipe") {
    command.input.kind = UVREAP_STDIO_PIPE;
    command.input.our_end = &one.input;
  }

  auto options = watch_options(integer(env_, given[2]), integer(env_, given[3]));
  int error = uvreap_spawn_async(watcher_->reaper, &command, &options, on_started, on_exit<true>, &one);
  if (error != 0) children_.erase(id);
  return error;
}

// id, pid
int environment::detach(arguments given) noexcept {
  if (watcher_ == nullptr) return UV_ESRCH;
  int error = uvreap_detach(watcher_->reaper, static_cast<pid_t>(integer(env_, given[1])));
  if (error == 0) children_.erase(static_cast<std::uint32_t>(integer(env_, given[0])));
  return error;
}

// pid, grace
int environment::terminate(arguments given) noexcept {
  if (watcher_ == nullptr) return UV_ESRCH;
  return uvreap_terminate(watcher_->reaper, static_cast<pid_t>(integer(env_, given[0])),
                          integer(env_, given[1]));
}

// whether they are told, grace
int environment::reap_orphans(arguments given) {
  // Off the main thread the kernel does not tell an orphan from a child of child_process.
  if (!is_main_thread()) return UV_ENOTSUP;
  if (orphans_ != nullptr) return UV_EBUSY;
  std::int64_t grace_ms = integer(env_, given[1]);
  uvreap_options_t options{};
  options.size = sizeof options;
  options.children = UVREAP_ANY;
  options.unclaimed_grace_ms = grace_ms;
  options.on_unclaimed = truth(env_, given[0]) ? on_orphan : nullptr;
  options.on_unclaimed_data = this;
  return start(orphans_, options);
}

int environment::stop_reaping_orphans(arguments) noexcept { return retire(orphans_), 0; }

// pid
int environment::exclude(arguments given) noexcept {
  if (orphans_ == nullptr) return UV_EINVAL;
  return uvreap_exclude(orphans_->reaper, static_cast<pid_t>(integer(env_, given[0])));
}

int environment::become_subreaper(arguments) noexcept { return uvreap_become_subreaper(); }

}  // namespace addon
