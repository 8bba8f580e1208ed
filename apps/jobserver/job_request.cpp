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

std::string read_cwd(const json& value, std::string& cwd) {
  if (!value.is_string() || !value.get_ref<const std::string&>().starts_with('/')) {
    return "cwd must be an absolute path";
  }
  cwd = value;
  return holds_nul(cwd) ? "cwd must not hold a NUL" : "";
}

std::string read_env(const json& value, std::map<std::string, std::string>& env) {
  if (!value.is_object()) return "env must be an object of strings";
  for (const auto& [name, text] : value.items()) {
    if (name.empty() || name.find('=') != std::string::npos) return "env has a name that is empty or holds =";
    if (!text.is_string()) return "env must be an object of strings";
    if (holds_nul(name) || holds_nul(text)) return "env must not hold a NUL";
    env[name] = text;
  }
  return {};
}

std::string read_timeout(const json& value, std::chrono::milliseconds& timeout) {
  double seconds = value.is_number() ? value.get<double>() : 0;
  if (!(seconds > 0 && seconds <= longest_timeout))
    return "timeout must be a number of seconds above 0, at most 49 days";
  // Without what a double is off: 0.1 s is 100 ms, and not 101 as by the x87's digits.
  auto exact = std::chrono::round<std::chrono::microseconds>(std::chrono::duration<double>(seconds));
  timeout = std::max(std::chrono::ceil<std::chrono::milliseconds>(exact), std::chrono::milliseconds(1));
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
    } else if (key == "cwd") {
      wrong = read_cwd(value, read.cwd);
    } else if (key == "env") {
      wrong = read_env(value, read.env);
    } else if (key != "argv") {
      wrong = "unknown key " + json(key).dump() + "; known are argv, timeout, stdin, cwd and env";
    }
  }
  if (wrong.empty()) *this = std::move(read);
  return wrong;
}

std::size_t job_request::memory() const {
  std::size_t sum = sizeof *this + cwd.size() + (input ? input->size() : 0);
  for (const std::string& word : argv) sum += sizeof(std::string) + word.size();
  for (const auto& [name, value] : env) sum += 2 * sizeof(std::string) + name.size() + value.size();
  return sum;
}
