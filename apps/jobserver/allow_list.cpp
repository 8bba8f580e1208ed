#include "allow_list.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "../shared/json_text.hpp"
#include "regular_file.hpp"

namespace {

using nlohmann::json;

constexpr const char* any_argument = "**";
constexpr const char* any_rest = "...";

bool fits_glob(const std::string& pattern, const std::string& text) {
  return ::fnmatch(pattern.c_str(), text.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0;
}

bool fits(const std::string& pattern, const std::string& argument) {
  if (pattern == any_argument) return true;
  bool begins_wild = !pattern.empty() && std::strchr("*?[", pattern[0]) != nullptr;
  if (begins_wild && argument.starts_with('-')) return false;
  return fits_glob(pattern, argument);
}

bool fit_all(const std::vector<std::string>& patterns, const std::vector<std::string>& argv) {
  bool takes_more = patterns.size() > 1 && patterns.back() == any_rest;
  std::size_t fixed = patterns.size() - (takes_more ? 1 : 0);
  if (argv.size() < fixed || (argv.size() > fixed && !takes_more)) return false;
  return std::equal(patterns.begin() + 1, patterns.begin() + static_cast<std::ptrdiff_t>(fixed),
                    argv.begin() + 1, fits);
}

bool fits_one_of(const std::vector<std::string>& patterns, const std::string& text) {
  auto fits_it = [&](const std::string& pattern) { return fits(pattern, text); };
  return std::any_of(patterns.begin(), patterns.end(), fits_it);
}

bool is_list_of_words(const json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const json& word) { return word.is_string(); });
}

}  // namespace

allow_list allow_list::any() {
  allow_list all;
  all.allows_any_ = true;
  return all;
}

std::string allow_list::read(const std::string& file) {
  if (std::string wrong = why_not_to_open(file); !wrong.empty()) return wrong;
  std::ifstream lines(file);
  std::vector<rule> rules;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos || line.starts_with('#')) continue;
    if (std::string wrong = read_rule(line, rules.emplace_back()); !wrong.empty()) {
      return wrong.insert(0, file + ":" + std::to_string(number) + ": ");
    }
  }
  if (!lines.eof()) return file + ": " + std::strerror(errno);
  rules_ = std::move(rules);
  return {};
}

std::string allow_list::read_rule(const std::string& line, rule& into) {
  if (line[0] != '{') {
    std::istringstream words(line);
    for (std::string word; words >> word;) into.argv.push_back(word);
  } else {
    json object;
    try {
      object = parse_json(line);
    } catch (const broken_json& error) {
      return std::string("broken JSON: ") + error.what();
    }
    for (const auto& [key, value] : object.items()) {
      auto* list = key == "argv"  ? &into.argv
                   : key == "cwd" ? &into.directories
                   : key == "env" ? &into.names
                                  : nullptr;
      if (list == nullptr) return "unknown key " + json(key).dump() + "; known are argv, cwd and env";
      if (!is_list_of_words(value)) return key + " must be an array of strings";
      *list = value.get<std::vector<std::string>>();
    }
    if (into.argv.empty()) return "argv is missing";
  }
  // Which program that would be hangs on the directory that the server was started in.
  const std::string& program = into.argv[0];
  bool is_relative = program.find('/') != std::string::npos && program[0] != '/';
  if (program.empty() || is_relative) return "neither a name nor an absolute path: " + program;
  return {};
}

std::string allow_list::why_not(const job_request& asked) const {
  if (allows_any_) return {};
  const std::string& program = asked.argv[0];
  std::string why = program + " is not allowed to run";
  for (const rule& rule : rules_) {
    if (rule.argv[0] != program) continue;
    if (!fit_all(rule.argv, asked.argv)) {
      if (why.ends_with("to run")) why = program + " is not allowed to run with these arguments";
      continue;
    }
    auto is_refused = [&rule](const auto& pair) { return !fits_one_of(rule.names, pair.first); };
    auto refused = std::find_if(asked.env.begin(), asked.env.end(), is_refused);
    if (!asked.cwd.empty() && !fits_one_of(rule.directories, asked.cwd)) {
      why = program + " is not allowed to run in the directory " + asked.cwd;
    } else if (refused != asked.env.end()) {
      why = program + " is not allowed to run with " + refused->first + " in its environment";
    } else {
      return {};
    }
  }
  return why;
}
