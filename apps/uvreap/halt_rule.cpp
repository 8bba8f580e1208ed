#include "halt_rule.hpp"

#include <charconv>
#include <stdexcept>
#include <string_view>

namespace {

[[noreturn]] void refuse(const std::string& text) {
  throw std::invalid_argument(
      "must be never, soon or now, and the last two may be followed by ,fail=N, ,success=N or ,done=N, "
      "with N a number from 1 or 1% to 100%: " +
      text);
}

}  // namespace

halt_rule halt_rule::from(const std::string& text) {
  halt_rule made;
  if (text == "never") return made;
  std::size_t comma = text.find(',');
  std::string when = text.substr(0, comma);
  if (when != "soon" && when != "now") refuse(text);
  made.ends_running = when == "now";
  made.after = 1;
  if (comma == std::string::npos) return made;

  std::string_view rest = std::string_view(text).substr(comma + 1);
  std::size_t equals = rest.find('=');
  std::string_view what = rest.substr(0, equals);
  if (what == "success") {
    made.of = count::succeeded;
  } else if (what == "done") {
    made.of = count::ended;
  } else if (what != "fail") {
    refuse(text);
  }
  std::string_view number = equals == std::string_view::npos ? "" : rest.substr(equals + 1);
  made.is_percent = number.ends_with('%');
  if (made.is_percent) number.remove_suffix(1);
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), made.after);
  bool is_whole = error == std::errc{} && end == number.data() + number.size();
  if (!is_whole || made.after == 0 || (made.is_percent && made.after > 100)) refuse(text);
  return made;
}

bool halt_rule::is_met(std::uint64_t failed, std::uint64_t succeeded,
                       std::optional<std::uint64_t> jobs) const {
  if (after == 0) return false;
  std::uint64_t counted = of == count::failed      ? failed
                          : of == count::succeeded ? succeeded
                                                   : failed + succeeded;
  if (!is_percent) return counted >= after;
  return jobs && counted > 0 && 100 * counted >= after * *jobs;
}
