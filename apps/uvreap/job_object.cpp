#include "job_object.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "measures.hpp"

namespace {

using nlohmann::json;
using text_map = std::map<std::string, std::string>;

constexpr const char* unlimited = "unlimited";

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

std::string text_from(const json& value, const std::string& what) {
  if (!value.is_string()) throw wrong_value(what + " must be a string");
  auto text = value.get<std::string>();
  if (has_nul(text)) throw wrong_value(what + " must not hold a NUL");
  return text;
}

std::vector<std::string> words_from(const json& value) {
  if (!value.is_array() || value.empty())
    throw wrong_value("argv must be an array of strings, and not empty");
  std::vector<std::string> words;
  for (const json& word : value) words.push_back(text_from(word, "each word of argv"));
  if (words.front().empty()) throw wrong_value("argv must name a program");
  return words;
}

text_map variables_from(const json& value) {
  if (!value.is_object()) throw wrong_value("env must be an object of strings");
  text_map variables;
  for (const auto& [name, text] : value.items()) {
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name))
      throw wrong_value("env: \"" + name + "\" is no name of a variable");
    variables[name] = text_from(text, "each value of env");
  }
  return variables;
}

text_map limits_from(const json& value) {
  // The long options of prlimit(1), which sets them.
  constexpr std::array<std::string_view, 16> names{
      "as",   "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
      "nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};
  if (!value.is_object()) throw wrong_value("rlimits must be an object of numbers");
  text_map limits;
  for (const auto& [name, limit] : value.items()) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw wrong_value("rlimits: \"" + name + "\" is no limit of prlimit(1)");
    if (limit != unlimited && !limit.is_number_unsigned())
      throw wrong_value("each value of rlimits must be a whole number, 0 or more, or \"unlimited\"");
    limits[name] = limit.is_string() ? limit.get<std::string>() : limit.dump();
  }
  return limits;
}

std::string input_from(const json& value) {
  if (!value.is_string()) throw wrong_value("stdin must be a string");
  return value.get<std::string>();
}

std::chrono::milliseconds timeout_from(const json& value) {
  std::optional<std::chrono::milliseconds> time;
  if (value.is_number()) time = time_from(value.get<double>());
  if (value.is_string()) time = time_from(value.get<std::string>());
  if (!time)
    throw wrong_value("timeout must be a number of seconds, 0 or more, or a string as \"90s\" or \"5m\"");
  return *time;
}

int retries_from(const json& value) {
  constexpr int most = 1000;
  if (!value.is_number_integer() || value < 0 || value > most)
    throw wrong_value("retries must be a whole number from 0 to 1000");
  return value.get<int>();
}

}  // namespace

job job_from(const json& object) {
  if (!object.is_object()) throw wrong_value("a job must be an object with \"argv\"");
  job made;
  for (const auto& [key, value] : object.items()) {
    if (key == "argv") {
      made.argv = words_from(value);
    } else if (key == "name") {
      made.name = text_from(value, "name");
    } else if (key == "cwd") {
      made.cwd = text_from(value, "cwd");
    } else if (key == "env") {
      made.env = variables_from(value);
    } else if (key == "stdin") {
      made.input = input_from(value);
    } else if (key == "rlimits") {
      made.limits = limits_from(value);
    } else if (key == "timeout") {
      made.timeout = timeout_from(value);
    } else if (key == "retries") {
      made.retries = retries_from(value);
    } else {
      throw wrong_value("unknown key \"" + key +
                        "\" (there are name, argv, cwd, env, stdin, rlimits, timeout and retries)");
    }
  }
  if (made.argv.empty()) throw wrong_value("a job must have an \"argv\"");
  if (made.name.empty()) made.name = name_of(made.argv);
  return made;
}

nlohmann::ordered_json object_of(const job& job) {
  nlohmann::ordered_json object{{"name", job.name}, {"argv", job.argv}};
  if (!job.cwd.empty()) object["cwd"] = job.cwd;
  if (!job.env.empty()) object["env"] = job.env;
  if (job.input) object["stdin"] = *job.input;
  for (const auto& [name, limit] : job.limits)
    object["rlimits"][name] = limit == unlimited ? json(limit) : json(std::stoull(limit));
  if (job.timeout) object["timeout"] = std::chrono::duration<double>(*job.timeout).count();
  if (job.retries) object["retries"] = *job.retries;
  return object;
}
