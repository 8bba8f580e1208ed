// What the server needs of whoever makes its children and hears of their ends. One is made of uvreap; the
// benchmark has another one, made of uv_spawn.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <uvreap/reaper.hpp>
#include <vector>

class children {
 public:
  struct order {
    const std::vector<std::string>& argv;
    std::size_t keep_output;  // of each stream
    std::chrono::milliseconds timeout;
    std::chrono::milliseconds grace;
  };

  virtual ~children() = default;

  // The child leads a process group. *input_end, if not null, becomes the writing end of its stdin, which is
  // /dev/null otherwise. Errors are those of uvreap::spawn.
  virtual int spawn(pid_t* out, int* input_end, const order&, uvreap::callback) = 0;
  virtual void terminate(pid_t, std::chrono::milliseconds grace) = 0;
  virtual void kill_group(pid_t) = 0;
  virtual void close() = 0;  // when every child has been told
  [[nodiscard]] virtual uvreap::statistics stats() const = 0;
};

// Empty: error says why.
using children_maker = std::unique_ptr<children> (*)(uv_loop_t&, uvreap::backend_kind, int& error);
std::unique_ptr<children> make_reaped_children(uv_loop_t&, uvreap::backend_kind, int& error);
