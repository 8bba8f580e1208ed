// The jobs of lists, one list after another.
#include <deque>
#include <utility>

#include "job_list.hpp"
#include "job_reader.hpp"
#include "job_source.hpp"

namespace {

class listed_jobs : public job_list {
 public:
  listed_jobs(uv_loop_t& loop, const run_settings& settings, const listener& listener)
      : loop_(loop),
        by_shell_(settings.by_shell),
        listener_(listener),
        left_(settings.lists.begin(), settings.lists.end()) {
    for (const std::string& path : left_) {
      auto size = bytes_of_source(path);
      size_ = size_ && size ? std::optional(*size_ + *size) : std::nullopt;
    }
  }

  std::optional<job> next() override {
    while (!is_over()) {
      if (!reader_) open_first();
      if (read_error_ != 0) leave_unreadable();
      auto made = next_of_reader();
      if (!reader_->hint().empty() && !std::exchange(has_hinted_, true)) listener_.hinted(reader_->hint());
      if (made) return numbered(std::move(*made));
      if (!reader_->is_over()) {
        source_->read();
        return {};
      }
      leave();
    }
    return {};
  }

  [[nodiscard]] bool is_over() const override {
    return left_.empty() || (left_.size() == 1 && reader_ && reader_->is_over());
  }

  void close() override {
    left_.clear();
    source_.reset();
  }

  [[nodiscard]] std::optional<double> share() const override {
    if (is_over()) return 1;
    if (size_.value_or(0) == 0) return {};
    return static_cast<double>(passed_ + (reader_ ? reader_->consumed() : 0)) / static_cast<double>(*size_);
  }

 private:
  // When it throws, the next call goes on behind what was wrong. That keeps its number for when it is mended:
  // --resume then knows those behind it.
  std::optional<job> next_of_reader() try { return reader_->next(); } catch (const list_error&) {
    count_broken();
    throw;
  }

  void open_first() {
    reader_.emplace(name_of_source(left_.front()), by_shell_);
    auto read = [this](std::string_view text) {
      text.empty() ? reader_->end() : reader_->feed(text);
      listener_.more();
    };
    auto failed = [this](int error) {
      read_error_ = error;
      listener_.more();
    };
    read_error_ = job_source::open(&source_, loop_, left_.front(), {.text = read, .failed = failed});
  }

  void leave() {
    passed_ += reader_->consumed();
    source_.reset();
    reader_.reset();
    left_.pop_front();
  }

  [[noreturn]] void leave_unreadable() {
    auto error = cannot_read(left_.front(), std::exchange(read_error_, 0));
    leave();
    throw error;
  }

  uv_loop_t& loop_;
  bool by_shell_;
  listener listener_;
  std::optional<std::size_t> size_ = 0;  // of all; empty: that cannot be known
  std::size_t passed_ = 0;               // of the lists that are through
  std::deque<std::string> left_;         // the first is being read
  std::optional<job_reader> reader_;
  job_source::pointer source_;
  int read_error_ = 0;
  bool has_hinted_ = false;
};

}  // namespace

std::unique_ptr<job_list> make_listed_jobs(uv_loop_t& loop, const run_settings& settings,
                                           const job_list::listener& listener) {
  return std::make_unique<listed_jobs>(loop, settings, listener);
}
