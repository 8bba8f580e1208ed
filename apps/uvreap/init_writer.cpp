#include "init_writer.hpp"

#include <utility>

namespace pid1 {

constexpr std::size_t limit = 256 * 1024;

writer::writer(uv_loop_t& loop, int descriptor, std::function<void()> rested)
    : loop_(loop), descriptor_(descriptor), rested_(std::move(rested)) {}

bool writer::write(std::string_view text) {
  if (error_ != 0 || waiting_.size() + text.size() > limit) return false;
  waiting_ += text;
  if (!is_busy()) start();
  return true;
}

void writer::start() {
  if (going_.empty()) going_.swap(waiting_);
  if (going_.empty()) return rested_();
  request_.data = this;
  uv_buf_t buffer = uv_buf_init(going_.data(), static_cast<unsigned>(going_.size()));
  auto written = [](uv_fs_t* request) {
    ssize_t result = request->result;
    uv_fs_req_cleanup(request);
    static_cast<writer*>(request->data)->on_written(result);
  };
  constexpr int at_the_current_position = -1;
  int error = uv_fs_write(&loop_, &request_, descriptor_, &buffer, 1, at_the_current_position, written);
  if (error != 0) on_written(error);
}

void writer::on_written(ssize_t result) {
  if (result >= 0) {
    going_.erase(0, static_cast<std::size_t>(result));  // a pipe may have taken less than all of it
    return start();
  }
  error_ = static_cast<int>(result);
  going_.clear();
  waiting_.clear();
  rested_();
}

}  // namespace pid1
