// watch_options.timeout: a child that has not ended by then is terminated, and its exit says so.
//
// What cannot be done at its moment (no memory, no permission) is tried again; a termination with a longer
// grace that is under way is shortened.
#pragma once

#include "child/child.hpp"
#include "end/terminations.hpp"

namespace uvreap {

class deadlines {
 public:
  explicit deadlines(terminations& all) noexcept : terminations_(all) {}

  [[nodiscard]] int open(uv_loop_t& loop, std::function<void()> due,
                         const std::shared_ptr<close_barrier>& barrier) noexcept {
    return agenda_.open(loop, std::move(due), barrier);
  }
  void close() noexcept { agenda_.close(); }
  void abandon_after_fork() noexcept { agenda_.abandon_after_fork(); }

  void watched(child& one) noexcept {  // its deadline counts from now
    if (one.due != nullptr) agenda_.set(*one.due, alarm::in(one.due->after_ms));
  }

  [[nodiscard]] bool has_work() const noexcept { return agenda_.is_due(); }
  // On the first that is due. The child, if it may have been taken by other code; else null.
  [[nodiscard]] child* work() noexcept;

 private:
  terminations& terminations_;
  agenda agenda_;
};

}  // namespace uvreap
