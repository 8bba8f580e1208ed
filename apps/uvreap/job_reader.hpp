// The list of jobs, out of pieces of text as they come.
//
//     sleep 1                                 a line of words: '...' and "..." hold blanks, \ takes the next
//     {"argv": ["sleep", "1"]}                character as it is, # begins a comment; or a JSON object a line
//     [{"argv": ["sleep", "1"]}, ...]         or one JSON array, if the first character says so
//
// Nothing is read ahead: a job is made of its text when it is asked for.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../shared/text_position.hpp"
#include "job.hpp"

// What is wrong with the list, and where: "jobs:3:14: unknown key \"arg\"".
class list_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class job_reader {
 public:
  explicit job_reader(std::string name) : name_(std::move(name)) {}

  void feed(std::string_view text) { text_ += text; }
  void end() { ended_ = true; }

  // Empty: more text is needed, or that was all. Throws list_error; then the next call is for the next line,
  // but of a broken array nothing more is read.
  [[nodiscard]] std::optional<job> next();
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] std::uint64_t jobs() const { return jobs_; }  // so far

  [[nodiscard]] std::size_t consumed() const { return consumed_; }  // bytes

 private:
  enum class syntax { unknown, lines, array };

  [[nodiscard]] std::optional<job> next_in_lines();
  [[nodiscard]] std::optional<job> next_in_array();
  [[nodiscard]] job from_line(std::string_view) const;
  [[nodiscard]] std::optional<std::size_t> end_of_element() const;
  [[nodiscard]] std::size_t skip_blanks();  // how much text is left after them
  void consume(std::size_t length);
  [[nodiscard]] job from_words(std::string_view line) const;
  [[nodiscard]] job from_json(std::string_view text) const;
  [[nodiscard]] job numbered(job);
  [[noreturn]] void fail(std::string_view before, const std::string& what) const;

  std::string name_;
  std::string text_;  // not consumed yet
  std::size_t start_ = 0;
  std::size_t consumed_ = 0;
  text_position at_;  // of text_[start_]
  syntax syntax_ = syntax::unknown;
  bool needs_comma_ = false;
  bool array_is_over_ = false;
  bool is_broken_ = false;
  bool ended_ = false;
  std::uint64_t jobs_ = 0;
};
