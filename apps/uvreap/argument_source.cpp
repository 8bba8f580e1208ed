#include "argument_source.hpp"

#include <utility>

namespace {

// Far more than the kernel takes (MAX_ARG_STRLEN, 128 KiB): what is longer is no list of arguments.
constexpr std::size_t longest = 16 << 20;

}  // namespace

argument_source::argument_source(uv_loop_t& loop, argument_list list, char end, std::function<void()> more)
    : loop_(loop), list_(std::move(list)), end_(end), more_(std::move(more)) {
  if (!list_.file.empty()) size_ = bytes_of_source(list_.file);
}

std::optional<std::string> argument_source::next() {
  if (is_over()) return {};
  if (list_.file.empty()) return list_.words[next_word_++];
  if (!file_) {
    auto read = [this](std::string_view text) {
      text.empty() ? text_.end() : text_.feed(text);
      more_();
    };
    auto failed = [this](int error) {
      read_error_ = error;
      more_();
    };
    read_error_ = job_source::open(&file_, loop_, list_.file, {.text = read, .failed = failed});
  }
  if (read_error_ != 0) {
    close();
    throw cannot_read(list_.file, read_error_);
  }
  auto argument = next_of_file();
  if (!argument && !is_over()) file_->read();
  return argument;
}

std::optional<std::string> argument_source::next_of_file() {
  bool is_text = end_ == '\n';
  if (is_text && !text_.skip_byte_order_mark()) return {};
  text_position at = text_.at();
  auto line = text_.line(end_);
  if (!line && text_.rest().size() > longest) {
    close();
    throw list_error(name_of_source(list_.file), at, "an argument of more than 16 MiB");
  }
  if (!line) return {};
  text_.consume(line->size() + 1);
  if (std::size_t nul = line->find('\0'); nul != std::string_view::npos) {
    at.pass(line->substr(0, nul));
    throw list_error(name_of_source(list_.file), at, "a NUL; -0 reads arguments that end in one");
  }
  return std::string(*line);
}

bool argument_source::is_over() const {
  if (is_closed_) return true;
  return list_.file.empty() ? next_word_ == list_.words.size() : text_.is_over();
}

void argument_source::close() {
  is_closed_ = true;
  file_.reset();
}

std::optional<double> argument_source::share() const {
  if (is_over()) return 1;
  if (list_.file.empty()) return static_cast<double>(next_word_) / static_cast<double>(list_.words.size());
  if (size_.value_or(0) == 0) return {};
  return static_cast<double>(text_.consumed()) / static_cast<double>(*size_);
}
