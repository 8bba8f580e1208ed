#include "places.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

std::optional<int> places_from(std::string_view text, int cpus) {
  bool adds = text.starts_with('+');
  if (adds) text.remove_prefix(1);
  bool is_share = text.ends_with('%') && !adds;
  if (is_share) text.remove_suffix(1);
  int number = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || number < 0 || number > most_places) return {};
  if (adds) return std::min(cpus + number, most_places);
  if (is_share && number > 0) return std::clamp(cpus * number / 100, 1, most_places);
  if (is_share) return {};
  return number == 0 ? most_places : number;
}
