#include "job_input.hpp"

#include <unistd.h>

#include <utility>

struct job_input::pipe {
  uv_pipe_t handle{};
  uv_write_t request{};
  std::string text;
  job_input* owner = nullptr;

  // Memory goes with the handle: a write that was under way is called back, cancelled, before that.
  void close() {
    if (owner != nullptr) owner->pipe_ = nullptr;
    owner = nullptr;
    auto* handle_to_close = reinterpret_cast<uv_handle_t*>(&handle);
    if (uv_is_closing(handle_to_close)) return;
    uv_close(handle_to_close, [](uv_handle_t* closed) { delete static_cast<pipe*>(closed->data); });
  }
};

job_input::job_input(uv_loop_t& loop, int descriptor, std::string text) : pipe_(new pipe) {
  pipe_->owner = this;
  pipe_->text = std::move(text);
  pipe_->handle.data = pipe_->request.data = pipe_;
  uv_pipe_init(&loop, &pipe_->handle, 0);
  if (uv_pipe_open(&pipe_->handle, descriptor) != 0) {
    ::close(descriptor);
    pipe_->close();
    return;
  }
  // An error is the end, too: a job need not read what it is given (EPIPE).
  auto written = [](uv_write_t* request, int) { static_cast<pipe*>(request->data)->close(); };
  uv_buf_t buffer = uv_buf_init(pipe_->text.data(), static_cast<unsigned>(pipe_->text.size()));
  auto* stream = reinterpret_cast<uv_stream_t*>(&pipe_->handle);
  if (uv_write(&pipe_->request, stream, &buffer, 1, written) != 0) pipe_->close();
}

job_input::~job_input() {
  if (pipe_ != nullptr) pipe_->close();
}
