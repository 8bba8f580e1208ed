#include "output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace {

constexpr std::size_t most_at_once = 64 << 10;  // what a pipe holds

// It takes everything, and does not know RWF_NOWAIT.
bool is_null_device(int descriptor) {
  struct stat what {};
  return ::fstat(descriptor, &what) == 0 && S_ISCHR(what.st_mode) && what.st_rdev == makedev(1, 3);
}

}  // namespace

bool output::prepare() {
  // A closed standard descriptor must not become one of the loop's own: it would be written into by us, and
  // libuv asserts that it closes none of the three. What takes its place cannot be written to, so that the
  // first line says that it goes nowhere, and is closed for the programs that we run, as it was for us.
  while (::fcntl(STDIN_FILENO, F_GETFD) < 0 || ::fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
         ::fcntl(STDERR_FILENO, F_GETFD) < 0) {
    if (::open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) return false;
  }
  // A pipe that nobody reads any more is an error of the write, not a signal that leaves our children behind.
  // By a handler, which no program that we run inherits, as it would an ignored signal; and if it was ignored
  // when we were started, it stays so.
  struct sigaction now {};
  if (::sigaction(SIGPIPE, nullptr, &now) != 0) return false;
  if (now.sa_handler != SIG_DFL) return true;
  now.sa_handler = [](int) {};
  now.sa_flags = SA_RESTART;
  return ::sigaction(SIGPIPE, &now, nullptr) == 0;
}

output::output(uv_loop_t& loop, std::function<void(int error)> failed, int descriptor)
    : loop_(loop),
      failed_(std::move(failed)),
      descriptor_(descriptor),
      is_terminal_(::isatty(descriptor) == 1),
      is_null_(is_null_device(descriptor)) {}

void output::write(std::string_view text) {
  if (has_failed_) return;
  if (!is_busy()) text.remove_prefix(write_at_once(text));
  if (text.empty()) return;
  waiting_ += text;
  if (!is_busy()) start();
}

// RWF_NOWAIT is for pipes and files, as far as kernel and file system know it, and not for terminals. An
// error is the pool's to find, too.
std::size_t output::write_at_once(std::string_view text) {
  if (!is_tried_at_once_) return 0;
  iovec piece{.iov_base = const_cast<char*>(text.data()), .iov_len = std::min(text.size(), most_at_once)};
  constexpr off_t where_it_is = -1;
  ssize_t written = ::pwritev2(descriptor_, &piece, 1, where_it_is, is_null_ ? 0 : RWF_NOWAIT);
  if (written >= 0) return static_cast<std::size_t>(written);
  if (errno == EOPNOTSUPP || errno == ENOSYS) is_tried_at_once_ = false;
  return 0;
}

void output::write_now(std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0) return;  // the parent will find the same, and say so
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void output::give_up() {
  has_failed_ = true;
  waiting_.clear();
}

void output::start() {
  if (going_.empty()) going_.swap(waiting_);
  if (going_.empty()) {
    if (drained_) drained_();
    return;
  }
  request_.data = this;
  auto write = [](uv_work_t* request) { static_cast<output*>(request->data)->write_some(); };
  auto written = [](uv_work_t* request, int) { static_cast<output*>(request->data)->on_written(); };
  if (int error = uv_queue_work(&loop_, &request_, write, written); error != 0) {
    result_ = error;
    on_written();
  }
}

// In the pool. The open file may be non-blocking without our doing: whoever has it, too, can make it so.
void output::write_some() {
  for (;;) {
    result_ = ::write(descriptor_, going_.data(), going_.size());
    if (result_ >= 0) return;
    if (errno == EAGAIN) {
      pollfd ready{.fd = descriptor_, .events = POLLOUT, .revents = 0};
      (void)::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      result_ = uv_translate_sys_error(errno);
      return;
    }
  }
}

void output::on_written() {
  if (has_failed_) return going_.clear();
  if (result_ >= 0) {
    going_.erase(0, static_cast<std::size_t>(result_));  // a pipe may have taken less than all of it
    return start();
  }
  has_failed_ = true;
  going_.clear();
  waiting_.clear();
  failed_(static_cast<int>(result_));
}
