// The output of a child, read by ourselves: of stdout and stderr those that its command has captured, each
// until its end.
//
// The exit waits for those ends (ready_list), but not for ever: a grandchild may hold a pipe as long as it
// likes (Go gave os/exec its WaitDelay for that, golang/go#23019). From its collection on the drain bounds
// the reading.
#pragma once

#include <uv.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>

#include "os/descriptor.hpp"
#include "os/claims.hpp"
#include "os/uv_handle.hpp"
#include "uvreap/child_exit.hpp"
#include "uvreap/command.hpp"

namespace uvreap {

// What the captures of one reaper have in common.
struct reading {
  using buffer = std::array<char, 65'536>;

  registry& all;
  std::uint64_t origin;
  std::function<void()> on_end;  // some exit waits for its output no longer
  uv_loop_t* loop = nullptr;
  std::shared_ptr<void> farewell{};
  std::unique_ptr<buffer> into{};  // libuv reads one pipe at a time; made with the first capture

  [[nodiscard]] bool is_copy() const noexcept { return all.origin() != origin; }
};

class capture {
 public:
  explicit capture(reading& with) noexcept : with_(with) {}
  capture(const capture&) = delete;
  capture& operator=(const capture&) = delete;

  [[nodiscard]] static bool wanted_by(const command&) noexcept;

  // Before the child, as it can fail (UV_ENOMEM): handles for what is captured; and the command as it is to
  // be spawned, with pipes there.
  [[nodiscard]] int open(const command&) noexcept;
  [[nodiscard]] command with_pipes(const command&);
  void begin() noexcept;  // the child is there: our ends of the pipes are written

  void discard() noexcept;  // nobody wants the output any more; read on, so that the child can go on writing
  void collected() noexcept;  // the child has ended: the drain begins
  [[nodiscard]] bool ended() const noexcept;
  void hand_over(child_exit&) noexcept;  // what was read, and the end of reading

  void leave_to_the_loop() noexcept;

 private:
  struct stream {
    capture* whose = nullptr;
    std::size_t limit = 0;
    int descriptor = -1;  // our end, from spawn to begin
    captured read{};
    uv_handle<uv_pipe_t> pipe{};  // until the end of the stream

    [[nodiscard]] int open(capture&, const stdio&) noexcept;
    void begin() noexcept;
    void add(const char* bytes, std::size_t size) noexcept;
    void end() noexcept;
  };
  enum : std::size_t { output, error_output };

  static void provide(uv_handle_t*, std::size_t suggested, uv_buf_t*) noexcept;
  static void on_read(uv_stream_t*, ssize_t count, const uv_buf_t*) noexcept;

  reading& with_;
  std::array<stream, 2> streams_{};
  uv_handle<uv_timer_t> drain_;
  std::uint64_t drain_ms_ = 0;
  bool is_collected_ = false;
  bool time_is_up_ = false;
};

}  // namespace uvreap
