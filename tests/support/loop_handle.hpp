// The test's own handles beside a reaper's: closed when they go out of scope, freed when libuv has let go of
// them.
//
//     test::stage stage;
//     int turns = 0;
//     auto counter = test::on_prepare(stage.loop, [&] { ++turns; });   // after the stage, so closed before
//     it ends
#pragma once

#include <uv.h>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace test {

template <class Handle>
struct handle_with_call : Handle {
  std::function<void()> call;
  static void run(Handle* handle) { static_cast<handle_with_call*>(handle)->call(); }
};

template <class Handle>
struct handle_closer {
  void operator()(Handle* handle) const {
    uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* closed) {
      delete static_cast<handle_with_call<Handle>*>(reinterpret_cast<Handle*>(closed));
    });
  }
};

template <class Handle>
using loop_handle = std::unique_ptr<Handle, handle_closer<Handle>>;

// init makes the handle on the loop (uv_timer_init, say); what the handle is for is up to the caller.
template <class Handle, class Init>
loop_handle<Handle> make_handle(uv_loop_t& loop, Init init, const std::function<void()>& call) {
  auto* handle = new handle_with_call<Handle>;
  init(&loop, handle);
  handle->call = call;
  return loop_handle<Handle>(handle);
}

inline loop_handle<uv_prepare_t> on_prepare(uv_loop_t& loop, const std::function<void()>& call) {
  auto handle = make_handle<uv_prepare_t>(loop, uv_prepare_init, call);
  uv_prepare_start(handle.get(), handle_with_call<uv_prepare_t>::run);
  return handle;
}

inline loop_handle<uv_check_t> on_check(uv_loop_t& loop, const std::function<void()>& call) {
  auto handle = make_handle<uv_check_t>(loop, uv_check_init, call);
  uv_check_start(handle.get(), handle_with_call<uv_check_t>::run);
  return handle;
}

inline loop_handle<uv_idle_t> on_idle(uv_loop_t& loop, const std::function<void()>& call) {
  auto handle = make_handle<uv_idle_t>(loop, uv_idle_init, call);
  uv_idle_start(handle.get(), handle_with_call<uv_idle_t>::run);
  return handle;
}

inline loop_handle<uv_timer_t> after(uv_loop_t& loop, std::chrono::milliseconds delay,
                                     const std::function<void()>& call) {
  auto handle = make_handle<uv_timer_t>(loop, uv_timer_init, call);
  uv_update_time(&loop);
  uv_timer_start(handle.get(), handle_with_call<uv_timer_t>::run, static_cast<std::uint64_t>(delay.count()),
                 0);
  return handle;
}

inline loop_handle<uv_signal_t> on_signal(uv_loop_t& loop, int signum, const std::function<void()>& call) {
  auto handle = make_handle<uv_signal_t>(loop, uv_signal_init, call);
  auto run = [](uv_signal_t* heard, int) { handle_with_call<uv_signal_t>::run(heard); };
  uv_signal_start(handle.get(), run, signum);
  return handle;
}

}  // namespace test
