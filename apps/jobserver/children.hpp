// What the server needs of whoever makes its children and hears of their ends. One is made of uvreap; the
// benchmark has another one, made of uv_spawn.
#pragma once

#include <uv.h>

#include <chrono>
#include <functional>
#include <memory>
#include <uvreap/reaper.hpp>

#include "job_request.hpp"

class children {
 public:
  struct order {
    const job_request& asked;  // until started has been called
    std::chrono::milliseconds grace;
  };
  // Our ends of its pipes, to be closed; no input if none was asked for, which is /dev/null then.
  struct child {
    pid_t pid = 0;
    int input = -1;
    int output = -1;
    int error_output = -1;
  };
  using started = std::function<void(int error, const child&)>;

  virtual ~children() = default;

  // The child leads a process group. Errors are those of uvreap::spawn. started comes once, perhaps before
  // this returns and perhaps turns later; then, if there was no error, the exit.
  virtual void spawn(const order&, started, uvreap::callback ended) = 0;
  virtual void terminate(pid_t, std::chrono::milliseconds grace) = 0;
  virtual void kill_group(pid_t) = 0;
  virtual void opened(int descriptor) = 0;  // the server's newest: the limit of those may be near
  virtual void close() = 0;                 // when every child has been told
  [[nodiscard]] virtual uvreap::statistics stats() const = 0;
};

// Empty: error says why.
using children_maker = std::unique_ptr<children> (*)(uv_loop_t&, uvreap::backend_kind, int& error);
std::unique_ptr<children> make_reaped_children(uv_loop_t&, uvreap::backend_kind, int& error);
