#include "json_text.hpp"

#include <algorithm>

nlohmann::json parse_json(std::string_view text) try {
  return nlohmann::json::parse(text);
} catch (const nlohmann::json::parse_error& error) {
  // The parser's text begins with its own number and place; what it found comes after them.
  std::string reason = error.what();
  if (auto at = reason.find(": "); at != std::string::npos) reason = reason.substr(at + 2);
  throw broken_json(reason, std::min(error.byte > 0 ? error.byte - 1 : 0, text.size()));
} catch (const nlohmann::json::out_of_range& error) {
  throw broken_json(error.what(), {});
}
