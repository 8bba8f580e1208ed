// How late the loop is: a timer, and by how much it was missed. What holds the loop up shows here.
#pragma once

#include <uv.h>

#include <chrono>

class lateness {
 public:
  explicit lateness(uv_loop_t&);
  lateness(const lateness&) = delete;
  lateness& operator=(const lateness&) = delete;

  void close();  // before the end; libuv holds the timer until the loop has turned

  [[nodiscard]] std::chrono::nanoseconds worst() const { return worst_; }  // since the start
  std::chrono::nanoseconds take_worst();                                   // since the last call

 private:
  void on_time();

  uv_timer_t timer_{};
  std::uint64_t due_ns_ = 0;
  std::chrono::nanoseconds worst_{0};
  std::chrono::nanoseconds worst_since_{0};
};
