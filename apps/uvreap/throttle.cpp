#include "throttle.hpp"

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "measures.hpp"

namespace {

using std::chrono::milliseconds;

constexpr milliseconds between_looks{200};

// How many tasks run or could, without us: proc(5), /proc/loadavg, "0.1 0.2 0.3 4/567 890". Not the average
// of a minute, which would let too many begin before it rises.
std::optional<int> running_tasks() {
  std::ifstream file("/proc/loadavg");
  std::string field;
  for (int i = 0; i < 4; ++i) file >> field;
  int running = std::atoi(field.c_str());
  if (running < 1) return {};
  return running - 1;
}

std::optional<std::int64_t> available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::int64_t kibibytes = 0;
  std::string unit;
  while (file >> name >> kibibytes && std::getline(file, unit)) {
    if (name == "MemAvailable:") return kibibytes * 1024;
  }
  return {};
}

}  // namespace

std::optional<milliseconds> throttle::wait(std::chrono::nanoseconds now) {
  reason_.clear();
  if (last_ && now < *last_ + settings_.delay)
    return std::chrono::ceil<milliseconds>(*last_ + settings_.delay - now);
  if (auto tasks = settings_.load > 0 ? running_tasks() : std::nullopt; tasks && *tasks >= settings_.load) {
    reason_ = std::to_string(*tasks) + " tasks run, --load " + std::to_string(settings_.load);
    return between_looks;
  }
  if (auto memory = settings_.memory_free > 0 ? available_memory() : std::nullopt;
      memory && *memory < settings_.memory_free) {
    reason_ = size_text(*memory) + " are free, --memfree " + size_text(settings_.memory_free);
    return between_looks;
  }
  return {};
}

std::optional<std::int64_t> size_from(std::string_view text) {
  std::int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return {};
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.empty()) return number;
  constexpr std::string_view units = "KMGT";
  std::size_t power =
      unit.size() == 1 ? units.find(static_cast<char>(unit[0] & ~0x20)) : std::string_view::npos;
  if (power == std::string_view::npos) return {};
  std::int64_t factor = std::int64_t{1} << (10 * (power + 1));
  if (number > std::numeric_limits<std::int64_t>::max() / factor) return {};
  return number * factor;
}
