#include "writer.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "signals.hpp"

namespace pid1 {
namespace {

using std::chrono::steady_clock;

bool is_ready(int descriptor, int patience_ms) {
  pollfd one{.fd = descriptor, .events = POLLOUT, .revents = 0};
  return ::poll(&one, 1, patience_ms) == 1;
}

int open_again(int descriptor) {
  std::string itself = "/proc/self/fd/" + std::to_string(descriptor);
  return ::open(itself.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

// All signals are blocked, so that of a failed write waits, and would be handed on to the child.
void forget_signal_of(int error) {
  if (error == EPIPE) inherited_signals::forget(SIGPIPE);
  if (error == EFBIG) inherited_signals::forget(SIGXFSZ);
}

}  // namespace

writer::writer(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}

writer::kind writer::kind_of(int descriptor) {
  struct stat file {};
  if (::fstat(descriptor, &file) != 0 || S_ISREG(file.st_mode)) return kind::file;
  if (S_ISSOCK(file.st_mode)) return kind::socket;
  return S_ISFIFO(file.st_mode) || ::isatty(descriptor) == 1 ? kind::stream : kind::device;
}

long writer::try_write(std::string_view text) {
  if (kind_ == kind::unknown) kind_ = kind_of(descriptor_);
  if (kind_ == kind::file) return ::write(descriptor_, text.data(), text.size());
  if (kind_ == kind::socket)
    return ::send(descriptor_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  // O_NONBLOCK belongs to the open file, which the child has, too: it is never set there. A pipe or terminal
  // is opened a second time instead, where /proc and its permissions let us.
  int own = kind_ == kind::stream ? open_again(descriptor_) : -1;
  if (own >= 0) {
    long written = ::write(own, text.data(), text.size());
    int error = errno;
    ::close(own);
    errno = error;
    return written;
  }
  // Else a pipe that is ready takes PIPE_BUF without waiting, unless another process is quicker in between.
  if (!is_ready(descriptor_, 0)) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(descriptor_, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
}

// What of it goes out now; the rest stays in rest_. False: nothing did.
bool writer::put(std::string_view text) {
  std::size_t done = 0;
  while (done < text.size()) {
    long written = try_write(text.substr(done));
    if (written < 0 && errno == EINTR) continue;
    error_ = written < 0 ? errno : 0;
    if (written < 0) break;
    done += static_cast<std::size_t>(written);
  }
  forget_signal_of(error_);
  if (done == 0 && !text.empty()) return false;
  rest_ = text.substr(done);
  return true;
}

bool writer::put_rest() {
  if (rest_.empty()) return true;
  std::string rest = std::exchange(rest_, {});
  if (!put(rest)) rest_ = std::move(rest);
  return rest_.empty();
}

bool writer::put_gap() {
  if (told_ == dropped_) return true;
  if (!put(name_ + ": " + std::to_string(dropped_ - told_) + " lines lost: nobody read them\n")) return false;
  told_ = dropped_;
  return rest_.empty();
}

bool writer::write(std::string_view text, std::chrono::milliseconds patience) {
  auto deadline = steady_clock::now() + patience;
  bool is_taken = false;
  for (;;) {
    if (!is_taken) is_taken = put_rest() && put_gap() && put(text);
    if (is_taken && put_rest()) return true;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (error_ != EAGAIN || left.count() <= 0) break;
    if (!is_ready(descriptor_, static_cast<int>(left.count()))) break;
  }
  if (!is_taken) ++dropped_;
  return false;
}

void writer::say(const std::string& line) { (void)write(name_ + ": " + line + '\n'); }

void writer::finish(std::chrono::milliseconds patience) {
  if (!rest_.empty() || told_ != dropped_) (void)write({}, patience);
}

}  // namespace pid1
