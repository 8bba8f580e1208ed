// Text that comes in pieces: what is not consumed yet, and where in the whole it stands.
//
//     text.feed(piece); ...; text.end();
//     while (auto line = text.line('\n')) { ...; text.consume(line->size() + 1); }
//
// A line is searched for once, however small the pieces are: each search goes on where the last one gave up.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "../shared/text_position.hpp"

class unread_text {
 public:
  void feed(std::string_view text);
  void end() { has_ended_ = true; }

  [[nodiscard]] bool has_ended() const { return has_ended_; }
  [[nodiscard]] bool is_over() const { return has_ended_ && rest().empty(); }
  [[nodiscard]] std::string_view rest() const { return std::string_view(text_).substr(start_); }

  // What is left up to this character, or up to the end of all. Empty: more text is needed, or that was all.
  [[nodiscard]] std::optional<std::string_view> line(char end);

  void consume(std::size_t length);  // at most all of rest()

  // To be called until it is true, before anything else: an editor's UTF-8 byte order mark is no text. False:
  // more text is needed.
  [[nodiscard]] bool skip_byte_order_mark();

  [[nodiscard]] const text_position& at() const { return at_; }     // of rest()
  [[nodiscard]] std::size_t consumed() const { return consumed_; }  // bytes

 private:
  std::string text_;
  std::size_t start_ = 0;
  std::size_t consumed_ = 0;
  std::size_t searched_ = 0;  // so much of rest() holds no end of a line
  text_position at_;
  bool has_ended_ = false;
};
