#include "job_reader.hpp"

#include <algorithm>
#include <utility>

#include "../shared/json_text.hpp"
#include "job_object.hpp"
#include "words.hpp"

namespace {

// No command line may be longer than this (MAX_ARG_STRLEN times a few); what is, is no list of jobs.
constexpr std::size_t longest_job = 16 << 20;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

std::optional<job> job_reader::next() {
  if (is_broken_) return {};
  if (syntax_ == syntax::unknown) {
    syntax_ = syntax_of_rest();
    if (syntax_ == syntax::unknown) return {};
    if (syntax_ == syntax::array) text_.consume(1);
  }
  if (syntax_ == syntax::lines) return next_in_lines();
  return next_in_array();
}

bool job_reader::is_over() const {
  return is_broken_ || (text_.is_over() && (syntax_ != syntax::array || array_is_over_));
}

// An array begins with '[' and its first object. The program of that name has its arguments on its line.
job_reader::syntax job_reader::syntax_of_rest() {
  if (!text_.skip_byte_order_mark() || !skip_blanks()) return syntax::unknown;
  std::string_view rest = text_.rest();
  if (rest[0] != '[') return syntax::lines;
  std::size_t next = rest.find_first_not_of(" \t", 1);
  if (next == std::string_view::npos && !text_.has_ended() && rest.size() < longest_job)
    return syntax::unknown;
  if (next == std::string_view::npos) return syntax::array;
  bool has_blank = next > 1;
  bool is_program = has_blank && std::string_view("{]\r\n").find(rest[next]) == std::string_view::npos;
  return is_program ? syntax::lines : syntax::array;
}

std::optional<job> job_reader::next_in_lines() {
  while (auto line = text_.line('\n')) {
    text_position at = text_.at();
    text_.consume(line->size() + 1);  // whatever becomes of it; what was consumed stays until the next feed()
    if (job made = from_line(*line, at); !made.argv.empty()) return made;
  }
  if (text_.rest().size() > longest_job) break_off("a line of more than 16 MiB");
  return {};
}

job job_reader::from_line(std::string_view line, const text_position& at) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::size_t first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos || line[first] == '#') return {};
  std::string_view text = line.substr(first);
  if (!by_shell_) return text[0] == '{' ? from_json(line, at) : from_words(line, at);
  // { echo a; } is a shell's, {"argv": ...} is ours.
  std::size_t second = text[0] == '{' ? text.find_first_not_of(" \t\r", 1) : std::string_view::npos;
  bool is_json = second != std::string_view::npos && (text[second] == '"' || text[second] == '}');
  if (is_json) return from_json(line, at);
  if (std::size_t nul = line.find('\0'); nul != std::string_view::npos)
    fail(at, line.substr(0, nul), "a NUL");
  return shell_job_of(std::string(line));
}

std::optional<job> job_reader::next_in_array() {
  while (skip_blanks()) {
    char first = text_.rest()[0];
    if (array_is_over_) break_off("something follows the array");
    if (first == ']' && awaited_ == awaited::job) break_off("a job must follow the ','");
    if (first == ']') {
      array_is_over_ = true;
      text_.consume(1);
      continue;
    }
    if (first == ',' && awaited_ == awaited::comma_or_end) {
      awaited_ = awaited::job;
      text_.consume(1);
      continue;
    }
    if (awaited_ == awaited::comma_or_end) break_off("a ',' or ']' must follow a job");
    auto length = end_of_element();
    if (!length && text_.rest().size() > longest_job) break_off("a job of more than 16 MiB");
    if (!length && !text_.has_ended()) return {};
    std::string_view element = text_.rest().substr(0, length.value_or(std::string::npos));
    text_position at = text_.at();
    text_.consume(element.size());
    element_ = {};
    awaited_ = awaited::comma_or_end;
    return from_json(element, at);
  }
  if (text_.has_ended() && !array_is_over_) break_off("the array has no end");
  return {};
}

// Where the value that begins here ends: an object or a list by its braces, a string by its quotes, all else
// before what cannot be in it. Whether it is JSON, the parser says.
std::optional<std::size_t> job_reader::end_of_element() {
  auto& [length, depth, in_string] = element_;
  std::string_view rest = text_.rest();
  while (length < rest.size()) {
    char c = rest[length];
    bool ends_scalar = depth == 0 && !in_string && length != 0 && (c == ',' || c == ']' || is_blank(c));
    if (ends_scalar) return length;
    ++length;
    if (in_string) {
      if (c == '\\') ++length;
      in_string = c != '"';
      if (!in_string && depth == 0) return length;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth <= 0) {
      return length;
    }
  }
  return {};
}

job job_reader::from_words(std::string_view line, const text_position& at) try {
  words read = words_of(line);
  if (hint_.empty() && !read.shell_sign.empty())
    hint_ = name_ + ':' + std::to_string(at.line) + ": " + no_shell_hint(read.shell_sign);
  return job_of(std::move(read.all));
} catch (const broken_line& error) {
  fail(at, line.substr(0, error.good_bytes), error.what());
}

job job_reader::from_json(std::string_view text, const text_position& at) try {
  return job_from(parse_json(text));
} catch (const broken_json& error) {
  // Behind a syntax error in an array nothing needs to be what it looks like.
  is_broken_ = syntax_ == syntax::array && error.good_bytes.has_value();
  fail(at, text.substr(0, error.good_bytes.value_or(0)), error.what());
} catch (const wrong_value& error) {
  fail(at, {}, error.what());
}

bool job_reader::skip_blanks() {
  std::string_view rest = text_.rest();
  std::size_t end = 0;
  while (end < rest.size() && is_blank(rest[end])) ++end;
  text_.consume(end);
  return end < rest.size();
}

void job_reader::break_off(const std::string& what) {
  is_broken_ = true;
  fail(text_.at(), {}, what);
}

void job_reader::fail(text_position at, std::string_view before, const std::string& what) const {
  at.pass(before);
  throw list_error(name_, at, what);
}
