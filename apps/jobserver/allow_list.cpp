#include "allow_list.hpp"

#include <fnmatch.h>
#include <locale.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "../shared/json_text.hpp"
#include "../shared/visible_text.hpp"
#include "regular_file.hpp"

namespace {

using nlohmann::json;

constexpr const char* any_argument = "**";
constexpr const char* any_rest = "...";

// By characters, whatever locale the server is started in. What requests ask for is UTF-8, as all JSON is.
//
// What does not fit by characters, glibc (2.36) tries by bytes: the first part of the path here never fits
// that way.
bool fits_glob(const std::string& pattern, const std::string& text) {
  constexpr int flags = FNM_PATHNAME | FNM_PERIOD;
  static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == nullptr) return ::fnmatch(pattern.c_str(), text.c_str(), flags) == 0;
  locale_t before = ::uselocale(utf8);
  bool fits = ::fnmatch(("?/" + pattern).c_str(), ("\u00e9/" + text).c_str(), flags) == 0;
  ::uselocale(before);
  return fits;
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

// ---- Rules that would never fit, which is not what their writer meant ----

bool can_be_asked_for(std::string_view text) {
  while (!text.empty()) {
    std::size_t length = character_length(text);
    if (length == 0 || text[0] == '\0') return false;
    text.remove_prefix(length);
  }
  return true;
}

// It would have to escape what comes next.
bool ends_in_escape(const std::string& pattern) {
  auto last = pattern.find_last_not_of('\\');
  return (pattern.size() - (last == std::string::npos ? 0 : last + 1)) % 2 == 1;
}

// Each directory has many more spellings, and a rule fits just its own: it had better be the usual one.
bool has_odd_part(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    std::string_view part = path.substr(0, path.find('/'));
    if (part.empty() || part == "." || part == "..") return true;
    path.remove_prefix(part.size());
  }
  return false;
}

std::string why_no_program(const std::string& name) {
  bool is_path = name.starts_with('/');
  if (is_path && has_odd_part(name)) return "a path with an empty part, . or ..: " + visible_text(name);
  bool is_name = name.find('/') == std::string::npos && !name.empty() && name != "." && name != "..";
  // Which program a relative path would be hangs on the directory that the server was started in.
  return is_path || is_name ? "" : "neither a name nor an absolute path: " + visible_text(name);
}

std::string why_no_directory(const std::string& pattern) {
  if (pattern == any_argument || pattern == "/") return {};
  if (!pattern.starts_with('/')) return "cwd is neither ** nor an absolute path: " + visible_text(pattern);
  return has_odd_part(pattern) ? "cwd has an empty part, . or ..: " + visible_text(pattern) : "";
}

std::string why_no_name(const std::string& pattern) {
  bool is_name = !pattern.empty() && pattern.find('=') == std::string::npos;
  return is_name ? "" : "env holds no name of a variable: " + visible_text(pattern);
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
    if (number == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);  // as editors of Windows begin it
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
  return into.why_never();
}

std::string allow_list::rule::why_never() const {
  std::string why = why_no_program(argv[0]);
  for (const auto* patterns : {&argv, &directories, &names}) {
    for (const std::string& pattern : *patterns) {
      if (!can_be_asked_for(pattern)) why = "no request can hold this: " + visible_text(pattern);
      bool is_glob = &pattern != &argv[0];
      if (is_glob && ends_in_escape(pattern)) why = "a \\ at the end of a pattern: " + visible_text(pattern);
    }
  }
  for (const std::string& pattern : directories) why += why.empty() ? why_no_directory(pattern) : "";
  for (const std::string& pattern : names) why += why.empty() ? why_no_name(pattern) : "";
  return why;
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
