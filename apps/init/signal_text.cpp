#include "signal_text.hpp"

#include <signal.h>
#include <string.h>
#include <strings.h>

#include <charconv>
#include <system_error>

#include "os/c_library.hpp"

namespace pid1 {
namespace {

bool is_prefix(std::string_view prefix, std::string_view text) {
  return text.size() >= prefix.size() && ::strncasecmp(text.data(), prefix.data(), prefix.size()) == 0;
}

// RTMIN, RTMIN+N, RTMAX, RTMAX-N.
std::optional<int> real_time_signal_of(std::string_view text) {
  bool from_below = is_prefix("RTMIN", text);
  if (!from_below && !is_prefix("RTMAX", text)) return {};
  text.remove_prefix(5);
  if (text.empty()) return from_below ? SIGRTMIN : SIGRTMAX;
  auto distance = text.front() == (from_below ? '+' : '-') ? number_of(text.substr(1)) : std::nullopt;
  if (!distance || *distance > SIGRTMAX - SIGRTMIN) return {};
  return from_below ? SIGRTMIN + *distance : SIGRTMAX - *distance;
}

}  // namespace

std::optional<int> number_of(std::string_view text) {
  int value = 0;
  const char* end = text.data() + text.size();
  auto [parsed, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || parsed != end || value < 0) return {};
  return value;
}

std::optional<int> signal_of(std::string_view text) {
  if (auto number = number_of(text)) {
    if (*number > SIGRTMAX) return {};
    return number;
  }
  if (is_prefix("SIG", text)) text.remove_prefix(3);
  for (int signum = 1; signum < NSIG; ++signum) {
    const char* name = uvreap::c_library::signal_abbreviation(signum);
    if (name != nullptr && text.size() == ::strlen(name) && is_prefix(name, text)) return signum;
  }
  return real_time_signal_of(text);
}

std::string signal_text(int signum) {
  const char* name = uvreap::c_library::signal_abbreviation(signum);  // none for the real-time signals
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(signum);
}

}  // namespace pid1
