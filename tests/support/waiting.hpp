// A coroutine of the tests.
#pragma once

#include <coroutine>
#include <exception>
#include <utility>

namespace test {

// A coroutine that starts at once, keeps what it was told, and can be destroyed while it waits.
class waiting {
 public:
  struct promise_type {
    std::exception_ptr thrown;
    waiting get_return_object() { return waiting(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { thrown = std::current_exception(); }
  };

  explicit waiting(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  waiting(waiting&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  waiting& operator=(waiting&&) = delete;
  ~waiting() { destroy(); }
  void destroy() {
    if (frame_) std::exchange(frame_, nullptr).destroy();
  }
  [[nodiscard]] bool done() const { return frame_.done(); }
  [[nodiscard]] bool threw() const { return frame_.promise().thrown != nullptr; }

 private:
  std::coroutine_handle<promise_type> frame_;
};

}  // namespace test
