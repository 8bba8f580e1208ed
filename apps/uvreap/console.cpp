#include "console.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <utility>

namespace {

constexpr std::size_t enough_to_wait_for = 256 << 10;
constexpr std::string_view erase_line = "\r\033[K";

// Without these an escape sequence is text (terminfo, "dumb").
bool knows_escape_sequences() {
  const char* kind = std::getenv("TERM");
  return kind != nullptr && *kind != '\0' && std::string_view(kind) != "dumb";
}

}  // namespace

console::console(uv_loop_t& loop, std::function<void(int error)> failed)
    : out_(loop, failed),
      err_(loop, std::move(failed), STDERR_FILENO),
      is_one_terminal_(out_.is_terminal() && err_.is_terminal()),
      has_live_line_(err_.is_terminal() && knows_escape_sequences()) {}

void console::out(std::string_view text) { write(to_out(), text); }
void console::err(std::string_view text) { write(err_, text); }

void console::write(output& to, std::string_view text) {
  if (live_.empty() || !to.is_terminal()) return to.write(text);
  err_.write(erase_line);
  to.write(text);
  err_.write(live_);
}

void console::live(std::string line) {
  if (!has_live_line() || line == live_) return;
  if (!line.empty() && err_.is_busy()) return;  // a terminal that is stopped gets a later one
  live_ = std::move(line);
  err_.write(std::string(erase_line) + live_);
}

int console::columns() const {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool console::is_behind() const { return out_.backlog() + err_.backlog() > enough_to_wait_for; }

void console::on_drained(const std::function<void()>& drained) {
  out_.on_drained(drained);
  err_.on_drained(drained);
}
