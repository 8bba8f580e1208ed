#include "live_line.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cwchar>

#include "../shared/printed.hpp"
#include "../shared/visible_text.hpp"

namespace {

using std::chrono::nanoseconds;

constexpr std::size_t bar_width = 20;
constexpr std::size_t narrowest_with_bar = 60;
constexpr std::string_view red = "\033[31m";
constexpr std::string_view plain = "\033[0m";

// Such that a line that is drawn ten times a second does not flicker.
std::string short_time(nanoseconds time) {
  double seconds = std::chrono::duration<double>(time).count();
  if (seconds < 9.95) return print("%.1f s", seconds);
  long whole = std::lround(seconds);
  if (whole < 60) return print("%ld s", whole);
  if (whole < 3600) return print("%ld:%02ld", whole / 60, whole % 60);
  return print("%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
}

std::uint64_t ended(const run_totals& now) { return now.done + now.failed + now.list_errors + now.skipped; }

std::string failures(const run_totals& now) { return std::to_string(now.failed) + " failed"; }

std::string bar(const run_totals& now) {
  if (!now.expected || *now.expected == 0) return {};
  double share = static_cast<double>(ended(now)) / static_cast<double>(*now.expected);
  auto full = std::min(bar_width, static_cast<std::size_t>(share * static_cast<double>(bar_width)));
  return '[' + std::string(full, '#') + std::string(bar_width - full, '-') + "] ";
}

}  // namespace

std::string_view first_columns(std::string_view text, std::size_t most) {
  std::size_t at = 0;
  std::size_t used = 0;
  std::mbstate_t state{};
  while (at < text.size()) {
    wchar_t character = 0;
    std::size_t length = std::mbrtowc(&character, text.data() + at, text.size() - at, &state);
    int width = 1;
    if (length == 0 || length > text.size() - at) {  // no character: a byte of its own
      length = 1;
      state = {};
    } else {
      width = std::max(0, ::wcwidth(character));
    }
    if (used + static_cast<std::size_t>(width) > most) break;
    used += static_cast<std::size_t>(width);
    at += length;
  }
  return text.substr(0, at);
}

std::string progress_text(const run_totals& now) {
  std::string text = std::to_string(ended(now));
  if (now.expected)
    text += (now.knows_expected ? " of " : " of about ") + std::to_string(*now.expected);
  else
    text += " done";
  text += ", " + failures(now);
  double seconds = std::chrono::duration<double>(now.wall).count();
  if (seconds > 0) text += print(", %.1f/s", static_cast<double>(now.done + now.failed) / seconds);
  if (now.seconds_left)
    text += ", " +
            short_time(
                std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(*now.seconds_left))) +
            " left";
  if (!now.waits_for.empty()) text += ", waiting (" + now.waits_for + ')';
  for (const running_job& one : now.eldest)
    text += " | " + short_time(one.age) + (one.is_stopped ? " stopped: " : " ") + visible_text(one.name);
  return text;
}

std::string live_line(const run_totals& now, std::size_t columns, bool in_colour) {
  std::string line = progress_text(now);
  if (columns >= narrowest_with_bar) line = bar(now) + line;
  line = first_columns(line, columns);
  std::size_t at = line.find(failures(now));
  if (!in_colour || now.failed == 0 || at == std::string::npos) return line;
  line.insert(at + failures(now).size(), plain);
  return line.insert(at, red);
}
