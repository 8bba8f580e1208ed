// Signals as people write them: "15", "TERM", "SIGTERM", "sigterm", "RTMIN+3".
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pid1 {

// 0 to SIGRTMAX; 0 is "none".
[[nodiscard]] std::optional<int> signal_of(std::string_view text);
[[nodiscard]] std::string signal_text(int signum);  // "SIGTERM", "signal 40"

[[nodiscard]] std::optional<int> number_of(std::string_view text);  // digits alone

}  // namespace pid1
