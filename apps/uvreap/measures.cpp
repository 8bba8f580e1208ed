#include "measures.hpp"

#include <charconv>
#include <system_error>

#include "../shared/printed.hpp"

std::string text_of(std::chrono::nanoseconds time) {
  double seconds = std::chrono::duration<double>(time).count();
  if (seconds < 0.9995) return print("%.1f ms", seconds * 1000);
  if (seconds < 60) return print("%.2f s", seconds);
  auto whole = static_cast<long>(seconds);
  if (whole < 3600) return print("%ld min %ld s", whole / 60, whole % 60);
  return print("%ld h %ld min", whole / 3600, whole / 60 % 60);
}

std::string size_text(std::int64_t bytes) {
  auto mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 1024 ? print("%.1f MiB", mebibytes) : print("%.1f GiB", mebibytes / 1024);
}

std::chrono::nanoseconds cpu_of(const uvreap::resource_usage& usage) {
  return usage.user_time + usage.system_time;
}

std::optional<std::chrono::milliseconds> time_from(double seconds) {
  constexpr double longest = 1e9;
  if (!(seconds >= 0 && seconds <= longest)) return {};  // nor nan
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

std::optional<std::chrono::milliseconds> time_from(std::string_view text) {
  double number = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return {};
  std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  if (unit.empty() || unit == "s") return time_from(number);
  if (unit == "m") return time_from(number * 60);
  if (unit == "h") return time_from(number * 3600);
  if (unit == "d") return time_from(number * 86'400);
  return {};
}
