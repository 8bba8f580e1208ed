#include "words.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool begins_variable(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == '('; }

// CC=clang make
std::string assignment_in(const std::string& word) {
  std::size_t length = word.find('=');
  if (length == std::string::npos || !begins_variable(word[0]) || word[0] == '(') return {};
  auto is_of_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  auto end = word.begin() + static_cast<std::ptrdiff_t>(length);
  return std::all_of(word.begin(), end, is_of_name) ? word.substr(0, length + 1) : "";
}

// What a shell would do something about at the beginning of this, which is not quoted; empty: nothing.
std::string_view shell_sign_at(std::string_view text, bool in_word) {
  if (!in_word && text.starts_with("~/")) return text.substr(0, 2);
  constexpr std::string_view operators = "|&;<>`*";
  if (operators.find(text[0]) != std::string_view::npos) return text.substr(0, 1);
  if (text[0] != '$' || text.size() < 2) return {};
  if (!begins_variable(text[1]) && text[1] != '{') return {};
  std::size_t end = 1;
  while (end < text.size() && (begins_variable(text[end]) || text[end] == '{')) ++end;
  return text.substr(0, end);
}

}  // namespace

words words_of(std::string_view line) {
  words made;
  std::string word;
  bool in_word = false;
  char quote = 0;
  std::size_t quoted_at = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (c == '\0') throw broken_line(i, "a NUL");
    if (quote != '\'' && made.shell_sign.empty() && (quote == 0 || c == '$' || c == '`'))
      made.shell_sign = shell_sign_at(line.substr(i), in_word);
    if (quote == 0 && is_blank(c)) {
      if (in_word) made.all.push_back(std::exchange(word, {}));
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
      if (++i == line.size()) throw broken_line(i - 1, "a \\ with nothing after it");
      word += line[i];
      in_word = true;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) throw broken_line(quoted_at, std::string("this ") + quote + " is not closed");
  if (in_word) made.all.push_back(std::move(word));
  if (made.shell_sign.empty() && !made.all.empty()) made.shell_sign = assignment_in(made.all.front());
  if (!made.all.empty() && made.all.front().empty()) throw broken_line(0, "an empty word names no program");
  return made;
}

std::string shell_sign_in(const std::vector<std::string>& words) {
  constexpr std::array operators{"|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1"};
  for (const std::string& word : words) {
    if (std::find(operators.begin(), operators.end(), word) != operators.end()) return word;
  }
  return words.size() == 1 && words[0].find(' ') != std::string::npos ? " " : "";
}

std::string no_shell_hint(const std::string& shell_sign) {
  return "no shell is run, and '" + shell_sign + "' is text as any other; with --shell sh reads the line";
}

std::string shell_word(std::string_view word) {
  constexpr std::string_view plain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+:,./-";
  if (!word.empty() && word.find_first_not_of(plain) == std::string_view::npos) return std::string(word);
  std::string text = "'";
  for (char c : word) c == '\'' ? text += "'\\''" : text += c;
  return text + '\'';
}

std::string shell_line(const std::vector<std::string>& words) {
  std::vector<std::string> each;
  for (const std::string& word : words) each.push_back(shell_word(word));
  return joined(each);
}

std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (std::size_t i = 0; i < words.size(); ++i) line += (i == 0 ? "" : " ") + words[i];
  return line;
}
