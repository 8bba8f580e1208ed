#include "job_request.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace {

using nlohmann::json;

constexpr double longest_timeout = 49 * 86400.0;  // seconds; what a grace can be, too

std::string where_broken(std::string_view text, std::size_t byte) {
  auto before = text.substr(0, std::min(byte > 0 ? byte - 1 : 0, text.size()));
  auto line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  auto line = 1 + std::count(before.begin(), before.end(), '\n');
  return "line " + std::to_string(line) + ", column " + std::to_string(before.size() - line_start + 1);
}

// The parser's text begins with its own number and place; what it found comes after them.
std::string what_broken(const json::parse_error& error) {
  std::string text = error.what();
  auto at = text.find(": ");
  return at == std::string::npos ? text : text.substr(at + 2);
}

bool holds_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

std::string read_argv(const json& value, std::vector<std::string>& argv) {
  if (!value.is_array() || value.empty()) return "argv must be an array of at least one string";
  for (const json& word : value) {
    if (!word.is_string()) return "argv must hold strings only";
    if (holds_nul(word.get_ref<const std::string&>())) return "argv must not hold a NUL";
    argv.push_back(word);
  }
  return argv[0].empty() ? "argv[0] must not be empty" : "";
}

std::string read_timeout(const json& value, std::chrono::milliseconds& timeout) {
  double seconds = value.is_number() ? value.get<double>() : 0;
  if (!(seconds > 0 && seconds <= longest_timeout))
    return "timeout must be a number of seconds above 0, at most 49 days";
  timeout = std::chrono::milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
  return {};
}

}  // namespace

std::string job_request::read(std::string_view text) {
  json body;
  try {
    body = json::parse(text);
  } catch (const json::parse_error& error) {
    return "broken JSON at " + where_broken(text, error.byte) + ": " + what_broken(error);
  } catch (const json::out_of_range& error) {  // a number that no double can hold
    return std::string("broken JSON: ") + error.what();
  }
  if (!body.is_object()) return "the body must be a JSON object";
  job_request read;
  std::string wrong = "argv is missing";
  if (body.contains("argv")) wrong = read_argv(body["argv"], read.argv);
  for (const auto& [key, value] : body.items()) {
    if (!wrong.empty()) break;
    if (key == "timeout") {
      wrong = read_timeout(value, read.timeout);
    } else if (key == "stdin") {
      if (!value.is_string())
        wrong = "stdin must be a string";
      else
        read.input = value;
    } else if (key != "argv") {
      wrong = "unknown key " + json(key).dump() + "; known are argv, timeout and stdin";
    }
  }
  if (wrong.empty()) *this = std::move(read);
  return wrong;
}
