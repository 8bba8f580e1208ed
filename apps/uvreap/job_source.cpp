#include "job_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

job_source::job_source(uv_loop_t& loop, std::function<void(std::string_view)> text,
                       std::function<void(int)> failed)
    : loop_(loop), text_(std::move(text)), failed_(std::move(failed)) {}

job_source::~job_source() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

int job_source::open(const char* path) {
  // Standard input is opened anew where that is possible: O_NONBLOCK belongs to the open file, which others
  // (the shell) share. A socket cannot be, and is read as it is.
  bool is_input = std::strcmp(path, "-") == 0;
  descriptor_ = ::open(is_input ? "/proc/self/fd/0" : path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0 && is_input) descriptor_ = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  if (descriptor_ < 0) return uv_translate_sys_error(errno);
  struct stat file {};
  if (::fstat(descriptor_, &file) != 0) return uv_translate_sys_error(errno);
  if (S_ISDIR(file.st_mode)) return UV_EISDIR;
  if (S_ISREG(file.st_mode)) {
    size_ = static_cast<std::size_t>(file.st_size);
    if (off_t at = ::lseek(STDIN_FILENO, 0, SEEK_CUR); is_input && at > 0) ::lseek(descriptor_, at, SEEK_SET);
  }
  // Files are always ready, and epoll refuses them (EPERM): those are read by libuv's threads.
  is_polled_ = uv_poll_init(&loop_, &poll_, descriptor_) == 0;
  poll_.data = request_.data = this;
  return 0;
}

void job_source::read() {
  if (is_reading_ || is_closed_) return;
  is_reading_ = true;
  if (is_polled_) {
    auto readable = [](uv_poll_t* handle, int, int) {
      static_cast<job_source*>(handle->data)->on_readable();
    };
    uv_poll_start(&poll_, UV_READABLE | UV_DISCONNECT, readable);
    return;
  }
  uv_buf_t buffer = uv_buf_init(buffer_.data(), static_cast<unsigned>(buffer_.size()));
  auto done = [](uv_fs_t* request) {
    ssize_t length = request->result;
    uv_fs_req_cleanup(request);
    static_cast<job_source*>(request->data)->on_read(length);
  };
  constexpr int at_the_current_position = -1;
  int error = uv_fs_read(&loop_, &request_, descriptor_, &buffer, 1, at_the_current_position, done);
  if (error != 0) on_read(error);
}

void job_source::on_readable() {
  ssize_t length = ::read(descriptor_, buffer_.data(), buffer_.size());
  if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
  int error = length < 0 ? uv_translate_sys_error(errno) : 0;
  uv_poll_stop(&poll_);
  on_read(length < 0 ? error : length);
}

void job_source::on_read(ssize_t length) {
  is_reading_ = false;
  if (is_closed_) return;
  if (length < 0) return failed_(static_cast<int>(length));
  text_({buffer_.data(), static_cast<std::size_t>(length)});
}

void job_source::close() {
  if (is_closed_) return;
  is_closed_ = true;
  if (is_polled_) uv_close(reinterpret_cast<uv_handle_t*>(&poll_), nullptr);
}
