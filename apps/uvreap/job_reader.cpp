#include "job_reader.hpp"

#include <algorithm>
#include <utility>

#include "../shared/json_text.hpp"

namespace {

using nlohmann::json;

// No command line may be longer than this (MAX_ARG_STRLEN times a few); what is, is no list of jobs.
constexpr std::size_t longest_job = 16 << 20;
constexpr std::size_t longest_name = 60;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string name_of(const std::vector<std::string>& argv) {
  std::string name;
  for (const std::string& word : argv) {
    if (!name.empty()) name += ' ';
    name += word;
    if (name.size() > longest_name) return name.substr(0, longest_name - 3) + "...";
  }
  return name;
}

// One value of a job's object; what() of these says what would have been right.
struct wrong_value : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string text_from(const json& value, const char* key) {
  if (!value.is_string()) throw wrong_value(std::string(key) + " must be a string");
  auto text = value.get<std::string>();
  if (text.find('\0') != std::string::npos) throw wrong_value(std::string(key) + " must not hold a NUL");
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

std::map<std::string, std::string> variables_from(const json& value) {
  if (!value.is_object()) throw wrong_value("env must be an object of strings");
  std::map<std::string, std::string> variables;
  for (const auto& [name, text] : value.items()) {
    if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos)
      throw wrong_value("env: \"" + name + "\" is no name of a variable");
    variables[name] = text_from(text, "each value of env");
  }
  return variables;
}

std::chrono::milliseconds seconds_from(const json& value) {
  constexpr double longest = 1e9;
  double seconds = value.is_number() ? value.get<double>() : -1;
  if (!(seconds >= 0 && seconds <= longest))
    throw wrong_value("timeout must be a number of seconds, 0 or more");
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
}

int count_from(const json& value) {
  constexpr int most = 1000;
  if (!value.is_number_integer() || value < 0 || value > most)
    throw wrong_value("retries must be a whole number from 0 to 1000");
  return value.get<int>();
}

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
    } else if (key == "timeout") {
      made.timeout = seconds_from(value);
    } else if (key == "retries") {
      made.retries = count_from(value);
    } else {
      throw wrong_value("unknown key \"" + key + "\" (there are name, argv, cwd, env, timeout and retries)");
    }
  }
  if (made.argv.empty()) throw wrong_value("a job must have an \"argv\"");
  return made;
}

}  // namespace

std::optional<job> job_reader::next() {
  if (is_broken_) return {};
  if (start_ > text_.size() / 2) {  // now and then: moving the rest for each job would cost its square
    text_.erase(0, start_);
    start_ = 0;
  }
  if (syntax_ == syntax::unknown) {
    if (skip_blanks() == 0) return {};
    syntax_ = text_[start_] == '[' ? syntax::array : syntax::lines;
    if (syntax_ == syntax::array) consume(1);
  }
  if (syntax_ == syntax::lines) return next_in_lines();
  try {
    return next_in_array();
  } catch (const list_error&) {
    is_broken_ = true;
    throw;
  }
}

bool job_reader::is_over() const {
  if (is_broken_) return true;
  return ended_ && start_ == text_.size() && (syntax_ != syntax::array || array_is_over_);
}

std::optional<job> job_reader::next_in_lines() {
  while (start_ < text_.size()) {
    std::string_view rest = std::string_view(text_).substr(start_);
    std::size_t length = rest.find('\n');
    if (length == std::string_view::npos) {
      if (is_broken_ = rest.size() > longest_job; is_broken_) fail({}, "a line of more than 16 MiB");
      if (!ended_) return {};
      length = rest.size();
    }
    job made;
    try {
      made = from_line(rest.substr(0, length));
    } catch (const list_error&) {
      consume(std::min(length + 1, rest.size()));
      throw;
    }
    consume(std::min(length + 1, rest.size()));
    if (!made.argv.empty()) return numbered(std::move(made));
  }
  return {};
}

job job_reader::from_line(std::string_view line) const {
  std::size_t indent = line.find_first_not_of(" \t\r");
  bool is_json = indent != std::string_view::npos && line[indent] == '{';
  return is_json ? from_json(line) : from_words(line);
}

std::optional<job> job_reader::next_in_array() {
  while (skip_blanks() != 0) {
    char first = text_[start_];
    if (array_is_over_) fail({}, "something follows the array");
    if (first == ']') {
      array_is_over_ = true;
      consume(1);
      continue;
    }
    if (first == ',' && needs_comma_) {
      needs_comma_ = false;
      consume(1);
      continue;
    }
    if (needs_comma_) fail({}, "a ',' or ']' must follow a job");
    if (first != '{') fail({}, "a job must be an object with \"argv\"");
    auto length = end_of_element();
    if (!length && text_.size() - start_ > longest_job) fail({}, "a job of more than 16 MiB");
    if (!length && !ended_) return {};
    std::string_view element = std::string_view(text_).substr(start_, length.value_or(std::string::npos));
    job made = from_json(element);
    consume(element.size());
    needs_comma_ = true;
    return numbered(std::move(made));
  }
  if (ended_ && !array_is_over_) fail({}, "the array has no end");
  return {};
}

// Where the object that begins here ends, by its braces; whether it is JSON, the parser says.
std::optional<std::size_t> job_reader::end_of_element() const {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = start_; i < text_.size(); ++i) {
    char c = text_[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return i + 1 - start_;
    }
  }
  return {};
}

job job_reader::from_words(std::string_view line) const {
  job made;
  std::string word;
  bool in_word = false;
  char quote = 0;
  std::size_t quoted_at = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == '\0') fail(line.substr(0, i), "a NUL");
    if (quote == 0 && is_blank(c)) {
      if (in_word) made.argv.push_back(std::exchange(word, {}));
      in_word = false;
    } else if (quote == 0 && !in_word && c == '#') {
      break;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      quoted_at = i;
      in_word = true;
    } else if (c == quote) {
      quote = 0;
    } else if (c == '\\' && quote != '\'') {
      if (++i == line.size()) fail(line.substr(0, i - 1), "a \\ with nothing after it");
      word += line[i];
      in_word = true;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) fail(line.substr(0, quoted_at), std::string("this ") + quote + " is not closed");
  if (in_word) made.argv.push_back(std::move(word));
  if (!made.argv.empty() && made.argv.front().empty()) fail({}, "an empty word names no program");
  return made;
}

job job_reader::from_json(std::string_view text) const try {
  return job_from(parse_json(text));
} catch (const broken_json& error) {
  fail(text.substr(0, error.good_bytes.value_or(0)), error.what());
} catch (const wrong_value& error) {
  fail({}, error.what());
}

job job_reader::numbered(job made) {
  made.number = ++jobs_;
  if (made.name.empty()) made.name = name_of(made.argv);
  return made;
}

std::size_t job_reader::skip_blanks() {
  std::size_t end = start_;
  while (end < text_.size() && is_blank(text_[end])) ++end;
  consume(end - start_);
  return text_.size() - start_;
}

void job_reader::consume(std::size_t length) {
  at_.pass(std::string_view(text_).substr(start_, length));
  start_ += length;
  consumed_ += length;
}

void job_reader::fail(std::string_view before, const std::string& what) const {
  text_position where = at_;
  where.pass(before);
  throw list_error(name_ + ':' + std::to_string(where.line) + ':' + std::to_string(where.column) + ": " +
                   what);
}
