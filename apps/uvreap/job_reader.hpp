// The jobs of a list, out of pieces of text as they come.
//
//     sleep 1                                 a line of words: '...' and "..." hold blanks, \ takes the next
//     {"argv": ["sleep", "1"]}                character as it is, # begins a comment; or a JSON object a line
//     [{"argv": ["sleep", "1"]}, ...]         or one JSON array, if the list begins so
//
// Nothing is read ahead: a job is made of its text when it is asked for.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "job.hpp"
#include "list_error.hpp"
#include "unread_text.hpp"

class job_reader {
 public:
  job_reader(std::string name, bool by_shell) : name_(std::move(name)), by_shell_(by_shell) {}

  void feed(std::string_view text) { text_.feed(text); }
  void end() { text_.end(); }

  // Empty: more text is needed, or that was all. Throws list_error; then the next call is for the next job,
  // but of a broken array nothing more is read. The job has no number yet.
  [[nodiscard]] std::optional<job> next();
  [[nodiscard]] bool is_over() const;

  // Where a line looked first as if it were for a shell; empty: nowhere.
  [[nodiscard]] const std::string& hint() const { return hint_; }

  [[nodiscard]] std::size_t consumed() const { return text_.consumed(); }  // bytes

 private:
  enum class syntax { unknown, lines, array };
  enum class awaited { job_or_end, comma_or_end, job };  // in an array

  [[nodiscard]] syntax syntax_of_rest();
  [[nodiscard]] std::optional<job> next_in_lines();
  [[nodiscard]] std::optional<job> next_in_array();
  [[nodiscard]] std::optional<std::size_t> end_of_element();
  [[nodiscard]] bool skip_blanks();  // false: nothing is left after them
  [[nodiscard]] job from_line(std::string_view, const text_position& at);
  [[nodiscard]] job from_words(std::string_view line, const text_position& at);
  [[nodiscard]] job from_json(std::string_view text, const text_position& at);
  [[noreturn]] void break_off(const std::string& what);
  [[noreturn]] void fail(text_position at, std::string_view before, const std::string& what) const;

  // How far the end of an element has been looked for.
  struct search {
    std::size_t length = 0;
    int depth = 0;
    bool in_string = false;
  };

  std::string name_;
  bool by_shell_;  // lines are for sh, and not split into words
  std::string hint_;
  unread_text text_;
  syntax syntax_ = syntax::unknown;
  search element_;
  awaited awaited_ = awaited::job_or_end;
  bool array_is_over_ = false;
  bool is_broken_ = false;
};
