#include "unread_text.hpp"

#include <algorithm>

void unread_text::feed(std::string_view text) {
  if (start_ > text_.size() / 2) {  // now and then: moving the rest for each line would cost its square
    text_.erase(0, start_);
    start_ = 0;
  }
  text_ += text;
}

std::optional<std::string_view> unread_text::line(char end) {
  std::string_view left = rest();
  std::size_t length = left.find(end, searched_);
  if (length == std::string_view::npos) {
    searched_ = left.size();
    if (!has_ended_ || left.empty()) return {};
    length = left.size();
  }
  return left.substr(0, length);
}

void unread_text::consume(std::size_t length) {
  length = std::min(length, rest().size());
  at_.pass(rest().substr(0, length));
  start_ += length;
  consumed_ += length;
  searched_ = 0;
}

bool unread_text::skip_byte_order_mark() {
  constexpr std::string_view mark = "\xef\xbb\xbf";
  if (consumed_ != 0) return true;
  std::string_view left = rest();
  if (!left.starts_with(mark)) return has_ended_ || !mark.starts_with(left);
  consume(mark.size());
  at_ = {};
  return true;
}
