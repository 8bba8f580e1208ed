#include "job_pipes.hpp"

#include <unistd.h>

#include <utility>

namespace {

constexpr std::uint64_t patience_ms = 1000;  // with others that hold a pipe after the job's end

}  // namespace

// It frees itself when libuv has let go of it, which may be after the job_pipes.
struct job_pipes::handle {
  job_pipes* owner;
  stream which;
  uv_pipe_t pipe{};

  uv_stream_t* as_stream() { return reinterpret_cast<uv_stream_t*>(&pipe); }
};

job_pipes::job_pipes(uv_loop_t& loop, read_buffer& buffer, job_output::listener listener)
    : loop_(loop), buffer_(buffer), listener_(std::move(listener)) {}

job_pipes::~job_pipes() {
  close(stream::out);
  close(stream::err);
  if (patience_ == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(patience_),
           [](uv_handle_t* timer) { delete reinterpret_cast<uv_timer_t*>(timer); });
}

void job_pipes::prepare(uvreap::command& command) {
  command.output = uvreap::stdio::pipe(&ends_[0]);
  command.error_output = uvreap::stdio::pipe(&ends_[1]);
}

void job_pipes::begin() {
  begin(stream::out, ends_[0]);
  begin(stream::err, ends_[1]);
}

void job_pipes::begin(stream which, int descriptor) {
  auto* made = new handle{.owner = this, .which = which};
  uv_pipe_init(&loop_, &made->pipe, 0);
  made->pipe.data = made;
  at(which) = made;
  if (int error = uv_pipe_open(&made->pipe, descriptor); error != 0) {
    ::close(descriptor);
    listener_.noted(std::string("its output cannot be read: ") + uv_strerror(error));
    return close(which);
  }
  if (!is_held_) read(*made);
}

void job_pipes::read(handle& from) {
  auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
    read_buffer& space = static_cast<job_pipes::handle*>(handle->data)->owner->buffer_;
    *buffer = uv_buf_init(space.data(), static_cast<unsigned>(space.size()));
  };
  uv_read_start(from.as_stream(), allocate, [](uv_stream_t* from, ssize_t length, const uv_buf_t*) {
    auto* self = static_cast<handle*>(from->data);
    self->owner->on_read(self->which, length);
  });
}

void job_pipes::on_read(stream which, ssize_t length) {
  if (length > 0) {
    if (which == stream::out) bytes_out_ += static_cast<std::uint64_t>(length);
    return listener_.wrote(which, {buffer_.data(), static_cast<std::size_t>(length)});
  }
  if (length == 0) return;  // EAGAIN
  if (length != UV_EOF)
    listener_.noted(std::string("its output cannot be read: ") + uv_strerror(static_cast<int>(length)));
  close(which);
  settle();
}

void job_pipes::hold() {
  is_held_ = true;
  for (handle* one : handles_) {
    if (one != nullptr) uv_read_stop(one->as_stream());
  }
}

void job_pipes::go_on() {
  if (!std::exchange(is_held_, false)) return;
  for (handle* one : handles_) {
    if (one != nullptr) read(*one);
  }
}

void job_pipes::finish(std::function<void()> ended) {
  ended_ = std::move(ended);
  settle();
}

void job_pipes::settle() {
  if (!ended_) return;  // the job still runs
  if (at(stream::out) == nullptr && at(stream::err) == nullptr) return std::exchange(ended_, nullptr)();
  if (patience_ != nullptr) return;
  patience_ = new uv_timer_t;
  uv_timer_init(&loop_, patience_);
  patience_->data = this;
  auto over = [](uv_timer_t* timer) { static_cast<job_pipes*>(timer->data)->give_up(); };
  uv_timer_start(patience_, over, patience_ms, patience_ms);
}

void job_pipes::give_up() {
  if (is_held_) return;  // it is we who do not read
  if (!ended_) return;
  listener_.noted("a process that it left behind still holds its output; what comes now is not read");
  close(stream::out);
  close(stream::err);
  settle();
}

void job_pipes::close(stream which) {
  handle* one = std::exchange(at(which), nullptr);
  if (one == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&one->pipe),
           [](uv_handle_t* pipe) { delete static_cast<handle*>(pipe->data); });
}
