// One environment of Node: that of the main thread, that of a worker, or one more on the same loop where the
// module was loaded anew. Each has reapers of its own on its loop, made when they are first needed:
//
//   watcher   the children of watch() and run()
//   orphans   any(), from reapOrphans() to stop(); it leaves alone what the watcher has, and what libuv has
//
// Every call to JavaScript goes through one of two functions of lib/native.js, which are told the id that the
// child was given there: 0 for an orphan that has none.
//
// When Node ends the environment, the reapers are closed first and Node waits until libuv has let go of their
// handles: a worker's loop must be empty, and nothing may call into JavaScript any more.
#pragma once

#include <node_api.h>
#include <uvreap.h>

#include <cstdint>
#include <map>
#include <span>

namespace addon {

using arguments = std::span<const napi_value>;

class environment {
 public:
  environment(napi_env, uv_loop_t*) noexcept;

  // napi_ok, and from then on Node tells it when it ends, and it frees itself.
  [[nodiscard]] napi_status begin() noexcept;

  // What lib/ calls: 0 or UV_E*. The arguments are named in environment.cpp.
  int tell_by(arguments) noexcept;
  int watch(arguments);
  int spawn(arguments);
  int detach(arguments) noexcept;
  int terminate(arguments) noexcept;
  int reap_orphans(arguments);
  int stop_reaping_orphans(arguments) noexcept;
  int exclude(arguments) noexcept;
  int become_subreaper(arguments) noexcept;

 private:
  struct child {
    environment* owner;
    std::uint32_t id;
    int input = -1;  // our end of the pipe that is its standard input
  };
  struct owned_reaper {
    uvreap_t* reaper;
    environment* owner;
  };

  void end(napi_async_cleanup_hook_handle) noexcept;
  void free_if_closed() noexcept;
  [[nodiscard]] int start(owned_reaper*& out, const uvreap_options_t&);
  [[nodiscard]] int start_watcher();
  void retire(owned_reaper*&) noexcept;

  [[nodiscard]] child& add_child(std::uint32_t id);
  void tell_exit(std::uint32_t id, const uvreap_exit_t&, bool with_output) noexcept;
  template <class MakeArguments>
  bool call(napi_ref, MakeArguments) noexcept;

  template <bool WithOutput>
  static void on_exit(const uvreap_exit_t*, void* data) noexcept;
  static void on_started(int error, pid_t, void* data) noexcept;
  static void on_orphan(const uvreap_exit_t*, void* data) noexcept;
  static void on_closed(void* data) noexcept;

  napi_env env_;
  uv_loop_t* loop_;
  napi_ref exited_ = nullptr;
  napi_ref started_ = nullptr;
  std::map<std::uint32_t, child> children_;  // whose exit is to come
  owned_reaper* watcher_ = nullptr;
  owned_reaper* orphans_ = nullptr;
  int closing_ = 0;
  napi_async_cleanup_hook_handle ending_ = nullptr;  // set: no more JavaScript
};

}  // namespace addon
