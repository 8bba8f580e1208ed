#include "jobs_ahead.hpp"

#include <utility>

namespace {

constexpr std::size_t most_ahead = 1000;
constexpr std::size_t most_bytes_ahead = 1 << 20;

std::size_t size_of(const jobs_ahead::entry& one) {
  std::size_t size = one.error.size() + one.what.name.size() + one.what.cwd.size();
  if (one.what.input) size += one.what.input->size();
  for (const std::string& word : one.what.argv) size += word.size();
  for (const auto& [name, value] : one.what.env) size += name.size() + value.size();
  return size;
}

}  // namespace

void jobs_ahead::start(uv_loop_t& loop, const run_settings& settings, job_list::listener listener) {
  auto more = [this, tell = std::move(listener.more)] {
    read_ahead();
    tell();
  };
  list_ = make_job_list(loop, settings, {.more = more, .hinted = std::move(listener.hinted)});
  is_at_end_ = false;
  read_ahead();
}

std::optional<jobs_ahead::entry> jobs_ahead::next() {
  if (ahead_.empty()) return {};
  entry first = std::move(ahead_.front());
  ahead_.pop_front();
  bytes_ahead_ -= size_of(first);
  if (ahead_.size() < most_ahead / 2) read_ahead();
  return first;
}

void jobs_ahead::read_ahead() {
  while (!is_at_end_ && ahead_.size() < most_ahead && bytes_ahead_ < most_bytes_ahead) {
    try {
      auto job = list_->next();
      if (job) {
        keep({.what = std::move(*job)});
        continue;
      }
    } catch (const list_error& error) {
      keep({.error = error.what()});
      continue;
    }
    is_at_end_ = is_read_ = list_->is_over();
    if (!is_read_) return;
  }
}

void jobs_ahead::keep(entry one) {
  if (is_skipping_) {
    ++skipped_;
    return;
  }
  bytes_ahead_ += size_of(one);
  ahead_.push_back(std::move(one));
}

void jobs_ahead::skip() {
  if (std::exchange(is_skipping_, true)) return;
  skipped_ += ahead_.size();
  ahead_.clear();
  bytes_ahead_ = 0;
  read_ahead();
  bool has_an_end = list_ && list_->share().has_value();
  if (!has_an_end) close();
}

void jobs_ahead::close() {
  is_at_end_ = true;
  skip();
  if (list_) list_->close();
}

std::optional<std::uint64_t> jobs_ahead::expected() const {
  if (is_read_ || !list_) return jobs();
  double share = list_->share().value_or(0);
  if (share == 0) return {};
  return static_cast<std::uint64_t>(static_cast<double>(jobs()) / share);
}
