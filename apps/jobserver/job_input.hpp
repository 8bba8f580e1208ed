// Writes a text to a job's stdin, as fast as the job reads it, and closes it.
#pragma once

#include <uv.h>

#include <memory>
#include <string>

class job_input {
 public:
  // Takes the descriptor. The rest is dropped when the job closes its stdin, or by the destructor.
  job_input(uv_loop_t&, int descriptor, std::string text);
  ~job_input();
  job_input(const job_input&) = delete;
  job_input& operator=(const job_input&) = delete;

 private:
  struct pipe;
  pipe* pipe_;  // libuv's, until it is closed
};
