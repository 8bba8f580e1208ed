#include "job.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "../shared/visible_text.hpp"
#include "words.hpp"

namespace {

constexpr std::size_t longest_name = 60;

std::string cut(const std::string& name) {
  if (name.size() <= longest_name) return name;
  return std::string(first_bytes(name, longest_name - 3)) + "...";
}

// What sh would not run as a program: its reserved words, and what it does itself.
bool is_of_the_shell(const std::string& word) {
  constexpr std::array<std::string_view, 47> words{
      "!",       ".",        ":",        "{",      "}",     "alias",   "bg",   "break", "case", "cd",
      "command", "continue", "do",       "done",   "elif",  "else",    "esac", "eval",  "exec", "exit",
      "export",  "fc",       "fg",       "fi",     "for",   "getopts", "hash", "if",    "in",   "jobs",
      "local",   "read",     "readonly", "return", "set",   "shift",   "then", "times", "trap", "type",
      "ulimit",  "umask",    "unalias",  "unset",  "until", "wait",    "while"};
  return std::ranges::find(words, word) != words.end();
}

// printf(1) gets no NUL as it is.
std::string input_text(const std::string& input) {
  if (input.find('\0') == std::string::npos) return "printf %s " + shell_word(input) + " | ";
  std::string escaped;
  for (char c : input) {
    if (c == '\0')
      escaped += "\\0000";
    else if (c == '\\')
      escaped += "\\\\";
    else
      escaped += c;
  }
  return "printf %b " + shell_word(escaped) + " | ";
}

}  // namespace

std::string name_of(const std::vector<std::string>& argv) {
  std::string name;
  for (const std::string& word : argv) {
    if (!name.empty()) name += ' ';
    name += word;
    if (name.size() > longest_name) break;
  }
  return cut(name);
}

job job_of(std::vector<std::string> argv) {
  std::string name = name_of(argv);
  return {.name = std::move(name), .argv = std::move(argv)};
}

job shell_job_of(const std::string& text) { return {.name = cut(text), .argv = {"/bin/sh", "-c", text}}; }

std::vector<std::string> limit_words(const job& job) {
  std::vector<std::string> words;
  if (job.limits.empty()) return words;
  words.emplace_back("prlimit");
  for (const auto& [name, limit] : job.limits)
    words.push_back(std::string("--").append(name).append("=").append(limit));
  words.emplace_back("--");
  return words;
}

std::string shell_text(const job& job) {
  std::string before;
  if (!job.cwd.empty()) before += "-C " + shell_word(job.cwd) + ' ';
  if (!job.env.empty() && job.env.begin()->first[0] == '-') before += "-- ";  // the first of all, by order
  for (const auto& [name, value] : job.env)
    before.append(shell_word(std::string(name).append("=").append(value))).append(" ");
  if (!before.empty() || is_of_the_shell(job.argv[0])) before = "env " + before;
  if (!job.limits.empty()) before = shell_line(limit_words(job)) + ' ' + before;  // not by the PATH of env
  if (job.input) before = input_text(*job.input) + before;
  return before + shell_line(job.argv);
}
