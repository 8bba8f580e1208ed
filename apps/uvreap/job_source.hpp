// A file, or standard input, that jobs are read from: only as fast as they are asked for, and never by a read
// that could hold the loop.
#pragma once

#include <uv.h>

#include <array>
#include <cstddef>
#include <functional>
#include <string_view>

class job_source {
 public:
  // text is called with what was read, and with nothing at the end; failed with UV_E*.
  job_source(uv_loop_t&, std::function<void(std::string_view)> text, std::function<void(int)> failed);
  ~job_source();
  job_source(const job_source&) = delete;
  job_source& operator=(const job_source&) = delete;

  [[nodiscard]] int open(const char* path);  // "-": standard input. UV_E*
  void read();                               // once more; again while it is under way is nothing
  void close();

  [[nodiscard]] std::size_t size() const { return size_; }  // 0: nobody knows

 private:
  void on_readable();
  void on_read(ssize_t length);

  uv_loop_t& loop_;
  std::function<void(std::string_view)> text_;
  std::function<void(int)> failed_;
  int descriptor_ = -1;
  std::size_t size_ = 0;
  bool is_polled_ = false;
  bool is_reading_ = false;
  bool is_closed_ = false;
  uv_poll_t poll_{};
  uv_fs_t request_{};
  std::array<char, 65'536> buffer_;
};
