// watch_options.timeout: a child that has not ended by then is terminated, and its exit says so.
//
// What cannot be done at its moment (no memory, no permission) is tried again; a termination with a longer
// grace that is under way is shortened.
#pragma once

#include "child/child.hpp"
#include "end/terminations.hpp"

namespace uvreap {

class deadlines : public agenda {
 public:
  explicit deadlines(terminations& all) noexcept : terminations_(all) {}

  void watched(child& one) noexcept {  // its deadline counts from now
    if (one.due != nullptr) set(*one.due, alarm::in(one.due->after_ms));
  }

  // On the first that is due. The child, if it may have been taken by other code; else null.
  [[nodiscard]] child* work() noexcept;

 private:
  terminations& terminations_;
};

}  // namespace uvreap
