#include "child/captured_output.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace uvreap {

bool captured_output::is_wanted_by(const command& what) noexcept {
  return what.output.is_captured() || what.error_output.is_captured();
}

int captured_output::open(const command& what) noexcept {
  if (what.drain.count() < 0) return UV_EINVAL;
  if (with_.into == nullptr) with_.into.reset(new (std::nothrow) reading::buffer);
  if (with_.into == nullptr) return UV_ENOMEM;
  drain_ms_ = static_cast<std::uint64_t>(what.drain.count());
  auto init = [&](uv_timer_t* handle) { return uv_timer_init(with_.loop, handle); };
  if (int error = drain_.open(init, this, with_.barrier); error != 0) return error;
  if (int error = streams_[output].open(*this, what.output); error != 0) return error;
  return streams_[error_output].open(*this, what.error_output);
}

command captured_output::with_pipes(const command& what) {
  command piped = what;
  if (what.output.is_captured()) piped.output = stdio::pipe(&streams_[output].descriptor);
  if (what.error_output.is_captured()) piped.error_output = stdio::pipe(&streams_[error_output].descriptor);
  return piped;
}

void captured_output::begin() noexcept {
  for (stream& one : streams_) one.begin();
}

void captured_output::discard() noexcept {
  for (stream& one : streams_) {
    one.limit = 0;
    one.read = {.bytes = {}, .cut_by_limit = one.read.cut_by_limit || !one.read.bytes.empty()};
  }
}

void captured_output::collected(pid_t pid, std::uint64_t serial) noexcept {
  pid_ = pid;
  serial_ = serial;
  if (has_ended() || !drain_) return;
  uv_timer_start(drain_.get(), call_owner<&captured_output::on_drained, uv_timer_t>, drain_ms_, 0);
}

void captured_output::on_drained() noexcept {
  // Marked here and delivered in the check phase: what is in the pipe now is read in between.
  time_is_up_ = true;
  with_.on_end(pid_, serial_);
}

bool captured_output::has_ended() const noexcept {
  auto is_at_its_end = [](const stream& one) { return !one.pipe; };
  return time_is_up_ || std::ranges::all_of(streams_, is_at_its_end);
}

void captured_output::hand_over(child_exit& to) noexcept {
  for (stream& one : streams_) {
    if (one.pipe) one.read.cut_by_time = true;
    one.pipe.close();
  }
  to.output = std::move(streams_[output].read);
  to.error_output = std::move(streams_[error_output].read);
}

// ---- one stream

int captured_output::stream::open(captured_output& owner, const stdio& wanted) noexcept {
  if (!wanted.is_captured()) return 0;
  whose = &owner;
  limit = wanted.limit();
  auto init = [&](uv_pipe_t* handle) { return uv_pipe_init(owner.with_.loop, handle, 0); };
  return pipe.open(init, this, owner.with_.barrier);
}

void captured_output::stream::begin() noexcept {
  if (!pipe) return;
  uvreap::descriptor ours(descriptor);
  auto* handle = reinterpret_cast<uv_stream_t*>(pipe.get());
  int error = uv_pipe_open(pipe.get(), descriptor);
  if (error == 0) {
    (void)ours.release();  // libuv's, to be closed with the handle
    error = uv_read_start(handle, provide, on_read);
  }
  if (error == 0) return;
  read.cut_by_time = true;  // there is a child, whose output we cannot have
  pipe.close();
}

void captured_output::stream::add(const char* bytes, std::size_t size) noexcept try {
  std::size_t fits = std::min(size, limit - read.bytes.size());
  if (fits < size) read.cut_by_limit = true;
  read.bytes.append(bytes, fits);
} catch (const std::bad_alloc&) {
  read.cut_by_limit = true;
  limit = read.bytes.size();
}

void captured_output::stream::end() noexcept {
  pipe.close();
  if (whose->pid_ != 0 && whose->has_ended()) whose->with_.on_end(whose->pid_, whose->serial_);
}

void captured_output::provide(uv_handle_t* handle, std::size_t, uv_buf_t* out) noexcept {
  auto* one = owner_of<stream>(reinterpret_cast<uv_pipe_t*>(handle));
  if (one == nullptr) {  // the bytes are the parent's: libuv says UV_ENOBUFS
    *out = uv_buf_init(nullptr, 0);
    return;
  }
  reading::buffer& into = *one->whose->with_.into;
  *out = uv_buf_init(into.data(), static_cast<unsigned>(into.size()));
}

void captured_output::on_read(uv_stream_t* handle, ssize_t count, const uv_buf_t* buffer) noexcept {
  auto* one = owner_of<stream>(reinterpret_cast<uv_pipe_t*>(handle));
  if (one == nullptr) {
    uv_read_stop(handle);
    return;
  }
  if (count > 0) one->add(buffer->base, static_cast<std::size_t>(count));
  if (count >= 0) return;  // 0: nothing after all
  if (count != UV_EOF) one->read.cut_by_time = true;
  one->end();
}

}  // namespace uvreap
