// What init writes: by libuv's thread pool, so a reader that does not read holds a thread of the pool and not
// the reaping; and of what waits for it no more than a limit is kept.
#pragma once

#include <uv.h>

#include <functional>
#include <string>
#include <string_view>

namespace pid1 {

class writer {
 public:
  // rested is called on the loop when nothing waits any more, also after an error.
  writer(uv_loop_t&, int descriptor, std::function<void()> rested);
  writer(const writer&) = delete;  // libuv holds the address of the request
  writer& operator=(const writer&) = delete;

  bool write(std::string_view);  // false: dropped, since too much waits or writing has failed
  [[nodiscard]] bool is_busy() const { return !going_.empty(); }
  [[nodiscard]] int error() const { return error_; }  // UV_E*, of the first write that failed

 private:
  void start();
  void on_written(ssize_t result);

  uv_loop_t& loop_;
  int descriptor_;
  std::function<void()> rested_;
  int error_ = 0;
  uv_fs_t request_{};
  std::string going_;    // with the thread pool: untouched until it is back
  std::string waiting_;  // what came meanwhile
};

}  // namespace pid1
