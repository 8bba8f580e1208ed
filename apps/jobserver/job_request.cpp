#include "job_request.hpp"

#include "../shared/json_text.hpp"
#include "../shared/text_position.hpp"

namespace {

using nlohmann::json;

constexpr double longest_timeout = 49 * 86400.0;  // seconds; what a grace can be, too

std::string what_broken(const broken_json& error, std::string_view text) {
  if (!error.good_bytes) return std::string("broken JSON: ") + error.what();
  text_position at;
  at.pass(text.substr(0, *error.good_bytes));
  return "broken JSON at line " + std::to_string(at.line) + ", column " + std::to_string(at.column) + ": " +
         error.what();
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
  timeout = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
  return {};
}

}  // namespace

std::string job_request::read(std::string_view text) {
  json body;
  try {
    body = parse_json(text);
  } catch (const broken_json& error) {
    return what_broken(error, text);
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
