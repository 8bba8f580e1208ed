#include "json_text.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace {

using nlohmann::json;

// The parser takes the last of two values with one key, and says nothing.
class no_key_twice {
 public:
  bool operator()(int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) keys_.emplace_back();
    if (event == json::parse_event_t::object_end) keys_.pop_back();
    if (event != json::parse_event_t::key) return true;
    const auto& key = value.get_ref<const std::string&>();
    if (!keys_.back().insert(key).second) throw broken_json("the key \"" + key + "\" is there twice", {});
    return true;
  }

 private:
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

}  // namespace

json parse_json(std::string_view text) try {
  return json::parse(text, no_key_twice());
} catch (const json::parse_error& error) {
  // The parser's text begins with its own number and place; what it found comes after them.
  std::string reason = error.what();
  if (auto at = reason.find(": "); at != std::string::npos) reason = reason.substr(at + 2);
  throw broken_json(reason, std::min(error.byte > 0 ? error.byte - 1 : 0, text.size()));
} catch (const json::out_of_range& error) {
  std::string reason = error.what();  // "[json.exception.out_of_range.406] number overflow parsing '1e400'"
  if (auto at = reason.find("] "); at != std::string::npos) reason = reason.substr(at + 2);
  throw broken_json(reason, {});
}
