// The two pipes that a job writes into, read on the loop as it writes, until both have ended.
//
// Pipes, and not the files that the text goes to: a job may open its own output anew (/dev/stderr), and of a
// file that would cut off, or write over, what was there. Who is left behind with a pipe is waited for a
// second after the job's end, and then not read any more.
#pragma once

#include <uv.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <uvreap/command.hpp>

#include "job_output.hpp"

using read_buffer = std::array<char, 65'536>;  // of whoever reads now, so one for all jobs

class job_pipes {
 public:
  job_pipes(uv_loop_t&, read_buffer&, job_output::listener);  // wrote: text as it comes, not whole lines
  ~job_pipes();
  job_pipes(const job_pipes&) = delete;  // libuv's handles point to it
  job_pipes& operator=(const job_pipes&) = delete;

  void prepare(uvreap::command&);            // before it is spawned
  void begin();                              // the child is there
  void finish(std::function<void()> ended);  // the child is not there any more

  [[nodiscard]] std::uint64_t bytes_out() const { return bytes_out_; }  // read from standard output

  void hold();  // nothing is read until go_on(): the job waits when its pipes are full
  void go_on();

 private:
  struct handle;

  void begin(stream, int descriptor);
  void read(handle&);
  void on_read(stream, ssize_t length);
  void close(stream);
  void settle();
  void give_up();

  handle*& at(stream which) { return handles_[which == stream::out ? 0 : 1]; }

  uv_loop_t& loop_;
  read_buffer& buffer_;
  job_output::listener listener_;
  std::function<void()> ended_;
  std::array<int, 2> ends_{-1, -1};
  std::array<handle*, 2> handles_{};
  uv_timer_t* patience_ = nullptr;
  std::uint64_t bytes_out_ = 0;
  bool is_held_ = false;
};
