#include "job_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace {

bool is_standard_input(const std::string& path) { return path == "-"; }

}  // namespace

std::string name_of_source(const std::string& path) {
  return is_standard_input(path) ? "standard input" : path;
}

list_error cannot_read(const std::string& path, int error) {
  return list_error("cannot read " + name_of_source(path) + ": " + uv_strerror(error));
}

std::optional<std::size_t> bytes_of_source(const std::string& path) {
  bool is_input = is_standard_input(path);
  // Our own exec closed all that was close-on-exec: this one was opened in place of a closed standard input.
  if (is_input && (::fcntl(STDIN_FILENO, F_GETFD) & FD_CLOEXEC) != 0) throw cannot_read(path, UV_EBADF);
  struct stat file {};
  if ((is_input ? ::fstat(STDIN_FILENO, &file) : ::stat(path.c_str(), &file)) != 0)
    throw cannot_read(path, uv_translate_sys_error(errno));
  if (S_ISDIR(file.st_mode)) throw cannot_read(path, UV_EISDIR);
  if (!is_input && ::access(path.c_str(), R_OK) != 0) throw cannot_read(path, uv_translate_sys_error(errno));
  if (!S_ISREG(file.st_mode)) return {};
  off_t at = is_input ? ::lseek(STDIN_FILENO, 0, SEEK_CUR) : 0;
  return static_cast<std::size_t>(std::max<off_t>(0, file.st_size - at));
}

int job_source::open(pointer* out, uv_loop_t& loop, const std::string& path, listener listener) {
  // Standard input is opened anew where that is possible: O_NONBLOCK belongs to the open file, which others
  // (the shell) share. A socket cannot be, and is read as it is.
  constexpr int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  bool is_input = is_standard_input(path);
  int descriptor = ::open(is_input ? "/proc/self/fd/0" : path.c_str(), flags);
  // A FIFO whose writers have gone before it was opened is at its end for read(), and never for poll()
  // (Linux, fifo_open). Opened by its path it has to wait for its first writer; standard input had one.
  bool reads_at_once = is_input && descriptor >= 0;
  if (descriptor < 0 && is_input) descriptor = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  if (descriptor < 0) return uv_translate_sys_error(errno);
  if (off_t at = ::lseek(STDIN_FILENO, 0, SEEK_CUR); is_input && at > 0) ::lseek(descriptor, at, SEEK_SET);
  out->reset(new job_source(loop, descriptor, reads_at_once, std::move(listener)));
  return 0;
}

job_source::job_source(uv_loop_t& loop, int descriptor, bool reads_at_once, listener listener)
    : loop_(loop), descriptor_(descriptor), reads_at_once_(reads_at_once), listener_(std::move(listener)) {
  // Files are always ready, and epoll refuses them (EPERM): those are read by libuv's threads.
  is_polled_ = uv_poll_init(&loop_, &poll_, descriptor_) == 0;
  poll_.data = request_.data = this;
}

void job_source::read() {
  if (is_reading_) return;
  is_reading_ = true;
  if (is_polled_ && !reads_at_once_) return wait_until_readable();
  uv_buf_t buffer = uv_buf_init(buffer_.data(), static_cast<unsigned>(buffer_.size()));
  auto done = [](uv_fs_t* request) {
    ssize_t length = request->result;
    uv_fs_req_cleanup(request);
    static_cast<job_source*>(request->data)->on_read(length);
  };
  constexpr int at_the_current_position = -1;
  is_with_a_thread_ = true;
  int error = uv_fs_read(&loop_, &request_, descriptor_, &buffer, 1, at_the_current_position, done);
  if (error != 0) on_read(error);
}

void job_source::wait_until_readable() {
  uv_poll_start(&poll_, UV_READABLE | UV_DISCONNECT, [](uv_poll_t* handle, int, int) {
    auto* self = static_cast<job_source*>(handle->data);
    ssize_t length = ::read(self->descriptor_, self->buffer_.data(), self->buffer_.size());
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
    uv_poll_stop(handle);
    self->on_read(length < 0 ? uv_translate_sys_error(errno) : length);
  });
}

void job_source::on_read(ssize_t length) {
  is_with_a_thread_ = false;
  if (is_closed_) return close();
  if (length == UV_EAGAIN && is_polled_) return wait_until_readable();
  is_reading_ = false;
  listener told = listener_;  // which may close and so delete us
  if (length < 0) return told.failed(static_cast<int>(length));
  told.text({buffer_.data(), static_cast<std::size_t>(length)});
}

void job_source::close() {
  is_closed_ = true;
  if (is_with_a_thread_) return;  // on_read() comes back here
  auto closed = [](uv_handle_t* handle) { delete static_cast<job_source*>(handle->data); };
  if (is_polled_) uv_close(reinterpret_cast<uv_handle_t*>(&poll_), closed);
  ::close(descriptor_);  // at once: where descriptors are few the next file gets it
  if (!is_polled_) delete this;
}
