// What init writes: an output of which no more than a limit waits for a reader that does not read, and whose
// end is told, by whichever way it came.
#pragma once

#include <uv.h>

#include <functional>
#include <string_view>

#include "../shared/output.hpp"

namespace pid1 {

class writer {
 public:
  // rested is called on the loop when nothing waits any more, also after an error.
  writer(uv_loop_t&, int descriptor, std::function<void()> rested);

  bool write(std::string_view);  // false: dropped, since too much waits or writing has failed
  [[nodiscard]] bool is_busy() const { return output_.is_busy(); }
  [[nodiscard]] int error() const { return error_; }  // UV_E*, of the first write that failed

 private:
  output output_;
  int error_ = 0;
};

}  // namespace pid1
