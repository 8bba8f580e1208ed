#include "whole_part.hpp"

#include <algorithm>

std::size_t whole_part(std::string_view text) {
  if (std::size_t line_end = text.rfind('\n'); line_end != std::string_view::npos) return line_end + 1;
  constexpr std::size_t longest_character = 4;
  for (std::size_t back = 1; back <= std::min(text.size(), longest_character); ++back) {
    auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xc0U) == 0x80) continue;  // one that follows a first one
    std::size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? text.size() - back : text.size();
  }
  return text.size();  // no UTF-8 anyway
}
