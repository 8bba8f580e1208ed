// Standard output, or standard error, for a program with a loop. What the kernel takes without waiting is
// written at once (RWF_NOWAIT); the rest by libuv's thread pool, so a reader that does not read (less, a
// stopped terminal) holds a thread of the pool and not the loop.
#pragma once

#include <unistd.h>
#include <uv.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

class output {
 public:
  // Before there is a loop, and once: the standard descriptors and SIGPIPE are made safe. False: there is no
  // /dev/null.
  [[nodiscard]] static bool prepare();

  // failed is called once, on the loop, with UV_E*; from then on everything is dropped.
  output(uv_loop_t& loop, std::function<void(int error)> failed, int descriptor = STDOUT_FILENO);
  output(const output&) = delete;  // libuv holds the address of the request
  output& operator=(const output&) = delete;

  void write(
      std::string_view);  // returns at once; what is written while the loop is busy writing goes in order
  static void write_now(
      std::string_view);  // returns when it is written: for a forked child, which has no loop

  // Called when all is written that could not be at once. Who writes without end waits for it while there is
  // a backlog, or memory grows with what a slow reader has not read.
  void on_drained(std::function<void()> drained) { drained_ = std::move(drained); }

  void give_up();  // what waits is dropped, but for what the thread pool has in hand

  [[nodiscard]] bool is_busy() const { return !going_.empty(); }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }  // behind what is being written
  [[nodiscard]] std::size_t backlog() const { return has_failed_ ? 0 : going_.size() + waiting_.size(); }
  [[nodiscard]] bool is_terminal() const { return is_terminal_; }

 private:
  [[nodiscard]] std::size_t write_at_once(std::string_view);  // so many bytes were
  void start();
  void write_some();
  void on_written();

  uv_loop_t& loop_;
  std::function<void(int error)> failed_;
  std::function<void()> drained_;
  int descriptor_;
  bool is_terminal_;
  bool is_null_;
  bool is_tried_at_once_ = true;
  bool has_failed_ = false;
  uv_work_t request_{};
  ssize_t result_ = 0;   // of the write that is back: bytes, or UV_E*
  std::string going_;    // with the thread pool: untouched until it is back
  std::string waiting_;  // what came meanwhile
};
