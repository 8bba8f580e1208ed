#include "output.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstddef>
#include <utility>

bool output::prepare() {
  // A closed stdout must not become one of the loop's own descriptors, written into by us. What takes its
  // place cannot be written to, so that the first line says that it goes nowhere.
  while (::fcntl(STDOUT_FILENO, F_GETFD) < 0 || ::fcntl(STDERR_FILENO, F_GETFD) < 0) {
    if (::open("/dev/null", O_RDONLY) < 0) return false;
  }
  // A pipe that nobody reads any more is an error of the write, not a signal that leaves our children behind.
  return ::signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

output::output(uv_loop_t& loop, std::function<void(int error)> failed, int descriptor)
    : loop_(loop),
      failed_(std::move(failed)),
      descriptor_(descriptor),
      is_terminal_(::isatty(descriptor) == 1) {}

void output::write(std::string_view text) {
  if (has_failed_) return;
  waiting_ += text;
  if (!is_busy()) start();
}

void output::write_now(std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0) return;  // the parent will find the same, and say so
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void output::start() {
  if (going_.empty()) going_.swap(waiting_);
  if (going_.empty()) {
    if (drained_) drained_();
    return;
  }
  request_.data = this;
  uv_buf_t buffer = uv_buf_init(going_.data(), static_cast<unsigned>(going_.size()));
  auto written = [](uv_fs_t* request) {
    ssize_t result = request->result;
    uv_fs_req_cleanup(request);
    static_cast<output*>(request->data)->on_written(result);
  };
  constexpr int at_the_current_position = -1;
  int error = uv_fs_write(&loop_, &request_, descriptor_, &buffer, 1, at_the_current_position, written);
  if (error != 0) on_written(error);
}

void output::on_written(ssize_t result) {
  if (result >= 0) {
    going_.erase(0, static_cast<std::size_t>(result));  // a pipe may have taken less than all of it
    return start();
  }
  has_failed_ = true;
  going_.clear();
  waiting_.clear();
  failed_(static_cast<int>(result));
}
