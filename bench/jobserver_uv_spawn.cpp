// The job server with uv_spawn in place of the reaper, all else the same: for bench/jobserver_load only. It
// has neither timeouts nor a grace, and no stdin.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "children.hpp"
#include "server.hpp"

namespace {

uv_handle_t* handle_of(uv_process_t* handle) { return reinterpret_cast<uv_handle_t*>(handle); }
uv_handle_t* handle_of(uv_pipe_t* handle) { return reinterpret_cast<uv_handle_t*>(handle); }

// One child and the two pipes of its output. It is told, and deletes itself, when all three are closed.
class spawned {
 public:
  spawned(uv_loop_t& loop, std::size_t limit, uvreap::callback told) : limit_(limit), told_(std::move(told)) {
    process_.data = this;
    for (uv_pipe_t* pipe : {&output_, &error_output_}) {
      uv_pipe_init(&loop, pipe, 0);
      pipe->data = this;
    }
  }

  int spawn(uv_loop_t& loop, const std::vector<std::string>& argv) {
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    uv_stdio_container_t streams[3]{};
    streams[0].flags = UV_IGNORE;
    auto to_pipe = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
    streams[1] = {to_pipe, {reinterpret_cast<uv_stream_t*>(&output_)}};
    streams[2] = {to_pipe, {reinterpret_cast<uv_stream_t*>(&error_output_)}};
    uv_process_options_t options{};
    options.file = words[0];
    options.args = words.data();
    options.stdio = streams;
    options.stdio_count = 3;
    options.flags = UV_PROCESS_DETACHED;
    options.exit_cb = [](uv_process_t* process, std::int64_t code, int signum) {
      auto* self = static_cast<spawned*>(process->data);
      self->exit_.status = uvreap::wait_status(W_EXITCODE(static_cast<int>(code), signum));
      self->close(handle_of(&self->process_));
    };
    int error = uv_spawn(&loop, &process_, &options);
    if (error != 0) {
      told_ = nullptr;
      close(handle_of(&process_));
      close(handle_of(&output_));
      close(handle_of(&error_output_));
      return error;
    }
    exit_.pid = process_.pid;
    read(output_);
    read(error_output_);
    return 0;
  }

  [[nodiscard]] int pid() const { return process_.pid; }

 private:
  void read(uv_pipe_t& pipe) {
    auto give_room = [](uv_handle_t*, std::size_t, uv_buf_t* room) {
      static char shared[65536];
      *room = uv_buf_init(shared, sizeof shared);
    };
    auto on_read = [](uv_stream_t* stream, ssize_t length, const uv_buf_t* room) {
      auto* self = static_cast<spawned*>(stream->data);
      if (length < 0) return self->close(reinterpret_cast<uv_handle_t*>(stream));
      bool is_output = stream == reinterpret_cast<uv_stream_t*>(&self->output_);
      std::string& kept = (is_output ? self->exit_.output : self->exit_.error_output).bytes;
      kept.append(room->base, std::min(static_cast<std::size_t>(length), self->limit_ - kept.size()));
    };
    uv_read_start(reinterpret_cast<uv_stream_t*>(&pipe), give_room, on_read);
  }

  void close(uv_handle_t* handle) {
    uv_close(handle, [](uv_handle_t* closed) {
      auto* self = static_cast<spawned*>(closed->data);
      if (++self->closed_ < 3) return;
      if (self->told_) self->told_(self->exit_);
      delete self;
    });
  }

  std::size_t limit_;
  uvreap::callback told_;
  uvreap::child_exit exit_;
  uv_process_t process_{};
  uv_pipe_t output_{};
  uv_pipe_t error_output_{};
  int closed_ = 0;
};

class uv_children final : public children {
 public:
  explicit uv_children(uv_loop_t& loop) : loop_(loop) {}

  int spawn(pid_t* out, int* input_end, const order& order, uvreap::callback told) override {
    if (input_end != nullptr || order.timeout.count() > 0) return UV_ENOTSUP;
    auto* child = new spawned(loop_, order.keep_output, std::move(told));
    if (int error = child->spawn(loop_, order.argv); error != 0) return error;
    *out = child->pid();
    return 0;
  }
  void terminate(pid_t pid, std::chrono::milliseconds) override { ::kill(-pid, SIGTERM); }
  void kill_group(pid_t pid) override { ::kill(-pid, SIGKILL); }
  void close() override {}
  [[nodiscard]] uvreap::statistics stats() const override { return {}; }

 private:
  uv_loop_t& loop_;
};

std::unique_ptr<children> make_uv_children(uv_loop_t& loop, uvreap::backend_kind, int& error) {
  error = 0;
  return std::make_unique<uv_children>(loop);
}

}  // namespace

int main(int argc, char** argv) { return serve(argc, argv, make_uv_children); }
