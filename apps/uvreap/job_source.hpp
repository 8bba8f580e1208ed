// A file, or standard input, that is read as fast as it is asked for, and never by a read that could hold the
// loop.
#pragma once

#include <uv.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "list_error.hpp"

class job_source {
 public:
  struct closer {
    void operator()(job_source* source) const { source->close(); }
  };
  using pointer = std::unique_ptr<job_source, closer>;

  struct listener {
    std::function<void(std::string_view)> text;  // what was read; nothing: that was all
    std::function<void(int)> failed;             // UV_E*
  };

  // "-": standard input. UV_E*, and then *out is untouched.
  [[nodiscard]] static int open(pointer* out, uv_loop_t&, const std::string& path, listener);

  void read();  // once more; again while it is under way is nothing

 private:
  job_source(uv_loop_t& loop, int descriptor, bool reads_at_once, listener);
  ~job_source() = default;

  void close();  // and delete, when libuv has let go of it
  void wait_until_readable();
  void on_read(ssize_t length);

  uv_loop_t& loop_;
  int descriptor_;
  bool reads_at_once_;
  listener listener_;
  bool is_polled_ = false;
  bool is_reading_ = false;
  bool is_with_a_thread_ = false;  // of libuv's: the request, the descriptor and the buffer
  bool is_closed_ = false;
  uv_poll_t poll_{};
  uv_fs_t request_{};
  std::array<char, 65'536> buffer_;
};

[[nodiscard]] std::string name_of_source(const std::string& path);
[[nodiscard]] list_error cannot_read(const std::string& path, int error);  // UV_E*

// Empty: that cannot be known. Throws list_error: it cannot be read.
[[nodiscard]] std::optional<std::size_t> bytes_of_source(const std::string& path);
