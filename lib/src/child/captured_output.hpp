// The output of a child, read by ourselves: of stdout and stderr those that its command has captured, each
// until its end.
//
// The exit waits for those ends, but not for ever: a grandchild may hold a pipe as long as it likes (Go gave
// os/exec its WaitDelay for that, golang/go#23019). From its collection on the drain bounds the reading.
#pragma once

#include <uv.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>

#include "os/descriptor.hpp"
#include "os/uv_handle.hpp"
#include "uvreap/child_exit.hpp"
#include "uvreap/command.hpp"

namespace uvreap {

// What the captures of one reaper have in common.
struct reading {
  using buffer = std::array<char, 65'536>;

  uv_loop_t* loop = nullptr;
  std::shared_ptr<close_barrier> barrier{};
  std::function<void(pid_t, std::uint64_t serial)> on_end{};  // that child's exit waits no longer
  std::unique_ptr<buffer> into{};  // libuv reads one pipe at a time; made with the first capture
};

class captured_output {
 public:
  explicit captured_output(reading& with) noexcept : with_(with) {}

  [[nodiscard]] static bool is_wanted_by(const command&) noexcept;

  // Before the child, as it can fail (UV_ENOMEM): handles for what is captured; and the command as it is to
  // be spawned, with pipes there.
  [[nodiscard]] int open(const command&) noexcept;
  [[nodiscard]] command with_pipes(const command&);
  void begin() noexcept;  // the child is there: our ends of the pipes are written

  void discard() noexcept;  // the output is not wanted any more; read on, so that the child can go on writing
  void collected(pid_t, std::uint64_t serial) noexcept;              // the child has ended: the drain begins
  void renamed(std::uint64_t serial) noexcept { serial_ = serial; }  // a later watch() took the exit
  [[nodiscard]] bool has_ended() const noexcept;
  void hand_over(child_exit&) noexcept;  // what was read, and the end of reading

 private:
  struct stream {
    captured_output* whose = nullptr;
    std::size_t limit = 0;
    int descriptor = -1;  // our end, from spawn to begin
    captured read{};
    uv_handle<uv_pipe_t> pipe{};  // until the end of the stream

    [[nodiscard]] int open(captured_output&, const stdio&) noexcept;
    void begin() noexcept;
    void add(const char* bytes, std::size_t size) noexcept;
    void end() noexcept;
  };
  enum : std::size_t { output, error_output };

  static void provide(uv_handle_t*, std::size_t suggested, uv_buf_t*) noexcept;
  static void on_read(uv_stream_t*, ssize_t count, const uv_buf_t*) noexcept;
  void on_drained() noexcept;

  reading& with_;
  std::array<stream, 2> streams_{};
  uv_handle<uv_timer_t> drain_;
  std::uint64_t drain_ms_ = 0;
  pid_t pid_ = 0;  // 0: not collected yet
  std::uint64_t serial_ = 0;
  bool time_is_up_ = false;
};

}  // namespace uvreap
