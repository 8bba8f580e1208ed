// Reads one output of a job until its end, and keeps the beginning of it. The job is never held up: what is
// beyond the limit is read, too, and dropped.
#pragma once

#include <uv.h>

#include <cstddef>
#include <functional>
#include <string_view>

class job_output {
 public:
  // keep is called with each piece that is within the limit, and when over is called, nothing more comes.
  job_output(uv_loop_t&, int descriptor, std::size_t limit, std::function<void(std::string_view)> keep,
             std::function<void()> over);
  ~job_output();
  job_output(const job_output&) = delete;
  job_output& operator=(const job_output&) = delete;

  void close();  // without over

  [[nodiscard]] bool is_open() const { return pipe_ != nullptr; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }       // that were kept
  [[nodiscard]] bool is_above_limit() const { return is_above_; }  // something was dropped

 private:
  void on_read(ssize_t length, const char* bytes);

  std::size_t limit_;
  std::function<void(std::string_view)> keep_;
  std::function<void()> over_;
  std::size_t bytes_ = 0;
  bool is_above_ = false;
  uv_pipe_t* pipe_;  // libuv's, until it is closed
};
