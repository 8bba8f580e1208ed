#include "range.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

namespace {

// Empty: no number. One that is too large is the largest.
std::optional<std::size_t> number_of(std::string_view text) {
  std::size_t number = 0;
  const char* end = text.data() + text.size();
  auto [read_to, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc::result_out_of_range && read_to == end) return SIZE_MAX;
  return error == std::errc() && read_to == end ? std::optional(number) : std::nullopt;
}

}  // namespace

byte_range byte_range::of(std::string_view field, std::size_t total) {
  constexpr std::string_view unit = "bytes=";
  auto dash = field.find('-');
  if (!field.starts_with(unit) || dash == std::string_view::npos) return {kind::whole};
  std::string_view first = field.substr(unit.size(), dash - unit.size());
  std::string_view last = field.substr(dash + 1);
  auto begin = number_of(first);
  auto end = number_of(last);
  if ((!begin && !first.empty()) || (!end && !last.empty()) || (!begin && !end)) return {kind::whole};
  if (!begin) {  // the last so many
    if (*end == 0 || total == 0) return {kind::unsatisfiable};
    std::size_t length = std::min(*end, total);
    return {kind::part, total - length, length};
  }
  if (end && *end < *begin) return {kind::whole};
  if (*begin >= total) return {kind::unsatisfiable};
  std::size_t length = std::min(end.value_or(SIZE_MAX), total - 1) - *begin + 1;
  return {kind::part, *begin, length};
}
