#include "console.hpp"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <utility>

namespace {

constexpr std::size_t enough_to_wait_for = 256 << 10;
constexpr std::string_view erase_line = "\r\033[K";

bool are_the_same(int a, int b) {
  struct stat of_a {};
  struct stat of_b {};
  if (::isatty(a) == 1 && ::isatty(b) == 1) return true;  // by whatever name
  return ::fstat(a, &of_a) == 0 && ::fstat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
         of_a.st_ino == of_b.st_ino;
}

// Without these an escape sequence is text (terminfo, "dumb").
bool knows_escape_sequences() {
  const char* kind = std::getenv("TERM");
  return kind != nullptr && *kind != '\0' && std::string_view(kind) != "dumb";
}

bool is_in_background() {
  pid_t front = ::tcgetpgrp(STDERR_FILENO);
  return front > 0 && front != ::getpgrp();
}

}  // namespace

console::console(uv_loop_t& loop, std::function<void(int error)> failed)
    : failed_(std::move(failed)),
      out_(loop, [this](int error) { out_failed(error); }),
      err_(
          loop, [this](int error) { err_failed_ = error != UV_EBADF; },  // closed: that was asked for
          STDERR_FILENO),
      is_one_(are_the_same(STDOUT_FILENO, STDERR_FILENO)),
      has_live_line_(err_.is_terminal() && knows_escape_sequences()) {}

void console::out(std::string_view text) {
  if (!std::exchange(jobs_use_out_, true) && out_error_ != 0) failed_(out_error_);
  write_of_job(out_, text);
}

// It may be that only what we say about the jobs is lost there, which is no reason to end them.
void console::out_failed(int error) {
  out_error_ = error;
  if (jobs_use_out_) failed_(error);
}

void console::err(std::string_view text) {
  if (is_one_) return out(text);
  jobs_use_err_ = true;
  write_of_job(err_, text);
}

void console::say(std::string_view lines) {
  if (mid_line_in_ == &to_err()) {
    after_that_line_ += lines;
    return;
  }
  write(to_err(), lines);
}

void console::write_of_job(output& to, std::string_view text) {
  write(to, text);
  bool is_whole = text.ends_with('\n');
  if (!is_whole) mid_line_in_ = &to;
  if (!is_whole || mid_line_in_ != &to) return;
  mid_line_in_ = nullptr;
  if (!after_that_line_.empty()) say(std::exchange(after_that_line_, {}));
}

void console::write(output& to, std::string_view text) {
  if (live_.empty() || !to.is_terminal() || mid_line_in_ == &to) return to.write(text);
  to_err().write(erase_line);
  to.write(text);
  if (text.ends_with('\n')) to_err().write(live_);
}

void console::live(std::string line) {
  if (is_in_background()) return live_.clear();  // the line is the shell's now, with its prompt
  if (!has_live_line() || line == live_ || mid_line_in_ == &to_err()) return;
  if (!line.empty() && to_err().is_busy()) return;  // a terminal that is stopped gets a later one
  live_ = std::move(line);
  to_err().write(std::string(erase_line) + live_);
}

bool console::has_colours() const {
  const char* refused = std::getenv("NO_COLOR");
  return has_live_line_ && (refused == nullptr || *refused == '\0');
}

int console::columns() const {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool console::is_behind() const { return out_.backlog() + err_.backlog() > enough_to_wait_for; }

void console::give_up() {
  has_given_up_ = true;
  out_.give_up();
  err_.give_up();
}

void console::on_drained(const std::function<void()>& drained) {
  out_.on_drained(drained);
  err_.on_drained(drained);
}
