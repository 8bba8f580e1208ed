#include "line_reader.hpp"

#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace {

constexpr std::size_t longest_line = 1 << 20;
constexpr std::uint64_t drain_ms = 1000;  // after the exit, for what others hold the pipe

}  // namespace

// One of a job's two pipes. It frees itself when libuv has let go of it.
struct line_reader::line_stream {
  line_reader& all;
  stream which;
  std::function<void(stream, std::string_view)> wrote;
  std::function<void()> ended;
  uv_pipe_t pipe{};
  std::string line;  // begun

  int open(int descriptor) {
    uv_pipe_init(&all.loop_, &pipe, 0);
    pipe.data = this;
    all.streams_.insert(this);
    if (int error = uv_pipe_open(&pipe, descriptor); error != 0) {
      ::close(descriptor);
      return error;
    }
    return all.is_held_ ? 0 : read();
  }

  int read() {
    auto allocate = [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
      auto& space = static_cast<line_stream*>(handle->data)->all.buffer_;
      *buffer = uv_buf_init(space.data(), static_cast<unsigned>(space.size()));
    };
    return uv_read_start(stream_of(), allocate, [](uv_stream_t* from, ssize_t length, const uv_buf_t*) {
      auto* self = static_cast<line_stream*>(from->data);
      if (length < 0) return self->end();
      self->take({self->all.buffer_.data(), static_cast<std::size_t>(length)});
    });
  }

  void hold() { uv_read_stop(stream_of()); }

  void take(std::string_view text) {
    std::size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
    if (whole != 0) {
      line += text.substr(0, whole);
      wrote(which, line);
      line.clear();
    }
    line += text.substr(whole);
    if (line.size() >= longest_line) say_rest();
    if (!all.console_.is_behind() || all.is_held_) return;
    all.is_held_ = true;
    for (line_stream* one : all.streams_) one->hold();
  }

  void say_rest() {
    if (line.empty()) return;
    wrote(which, line + '\n');
    line.clear();
  }

  void end() {
    say_rest();
    auto told = std::move(ended);
    close();
    told();
  }

  void close() {
    all.streams_.erase(this);
    uv_close(reinterpret_cast<uv_handle_t*>(&pipe),
             [](uv_handle_t* handle) { delete static_cast<line_stream*>(handle->data); });
  }

  uv_stream_t* stream_of() { return reinterpret_cast<uv_stream_t*>(&pipe); }
};

class line_reader::line_output : public job_output {
 public:
  line_output(line_reader& all, listener listener) : all_(all), listener_(std::move(listener)) {}
  ~line_output() override {
    for (line_stream* one : streams_) {
      if (one != nullptr) one->close();
    }
    if (timer_ != nullptr) close_timer();
  }

  int prepare(uvreap::command& command) override {
    command.output = uvreap::stdio::pipe(&ends_[0]);
    command.error_output = uvreap::stdio::pipe(&ends_[1]);
    return 0;
  }

  void begun() override {
    for (std::size_t i = 0; i < ends_.size(); ++i) {
      auto ended = [this, i] {
        streams_[i] = nullptr;
        settle();
      };
      auto which = i == 0 ? stream::out : stream::err;
      streams_[i] =
          new line_stream{.all = all_, .which = which, .wrote = listener_.wrote, .ended = ended, .line = {}};
      if (int error = streams_[i]->open(ends_[i]); error != 0) {
        listener_.noted(std::string("its output cannot be read: ") + uv_strerror(error));
        std::exchange(streams_[i], nullptr)->close();
      }
    }
  }

  void finish(std::function<void()> done) override {
    done_ = std::move(done);
    settle();
  }

 private:
  void settle() {
    if (!done_) return;  // it still runs
    if (streams_[0] == nullptr && streams_[1] == nullptr) {
      auto done = std::move(done_);
      return done();
    }
    if (timer_ != nullptr) return;
    timer_ = new uv_timer_t;
    uv_timer_init(&all_.loop_, timer_);
    timer_->data = this;
    uv_timer_start(
        timer_, [](uv_timer_t* timer) { static_cast<line_output*>(timer->data)->give_up(); }, drain_ms,
        drain_ms);
  }

  void give_up() {
    if (all_.is_held_) return;  // it is we who do not read
    listener_.noted("somebody it left behind still holds its output; what comes now is not read");
    for (line_stream*& one : streams_) {
      if (one == nullptr) continue;
      one->say_rest();
      std::exchange(one, nullptr)->close();
    }
    settle();
  }

  void close_timer() {
    uv_close(reinterpret_cast<uv_handle_t*>(timer_),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_timer_t*>(handle); });
  }

  line_reader& all_;
  listener listener_;
  std::function<void()> done_;
  std::array<int, 2> ends_{-1, -1};
  std::array<line_stream*, 2> streams_{};
  uv_timer_t* timer_ = nullptr;
};

std::unique_ptr<job_output> line_reader::make(job_output::listener listener) {
  return std::make_unique<line_output>(*this, std::move(listener));
}

void line_reader::go_on() {
  if (!std::exchange(is_held_, false)) return;
  for (line_stream* one : std::set<line_stream*>(streams_)) (void)one->read();
}
