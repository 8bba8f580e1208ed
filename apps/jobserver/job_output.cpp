#include "job_output.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

job_output::job_output(uv_loop_t& loop, int descriptor, std::size_t limit,
                       std::function<void(std::string_view)> keep, std::function<void()> over)
    : limit_(limit), keep_(std::move(keep)), over_(std::move(over)), pipe_(new uv_pipe_t) {
  uv_pipe_init(&loop, pipe_, 0);
  pipe_->data = this;
  auto give_room = [](uv_handle_t*, std::size_t, uv_buf_t* room) {
    static char shared[65536];  // read at once, on the one loop
    *room = uv_buf_init(shared, sizeof shared);
  };
  auto on_read = [](uv_stream_t* stream, ssize_t length, const uv_buf_t* room) {
    static_cast<job_output*>(stream->data)->on_read(length, room->base);
  };
  bool is_open = uv_pipe_open(pipe_, descriptor) == 0;
  if (!is_open) ::close(descriptor);
  if (!is_open || uv_read_start(reinterpret_cast<uv_stream_t*>(pipe_), give_room, on_read) != 0) close();
}

job_output::~job_output() { close(); }

void job_output::close() {
  if (pipe_ == nullptr) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(std::exchange(pipe_, nullptr));
  uv_close(handle, [](uv_handle_t* closed) { delete reinterpret_cast<uv_pipe_t*>(closed); });
}

void job_output::on_read(ssize_t length, const char* bytes) {
  if (length == 0) return;
  if (length < 0) {  // the end, or what cannot be read
    close();
    auto over = std::move(over_);  // it may destroy this
    return over();
  }
  auto room = std::min(static_cast<std::size_t>(length), limit_ - bytes_);
  is_above_ = is_above_ || room < static_cast<std::size_t>(length);
  if (room == 0) return;
  keep_({bytes, room});
  bytes_ += room;
}
