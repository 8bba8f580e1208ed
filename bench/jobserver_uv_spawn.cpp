// The job server with uv_spawn in place of the reaper, all else the same: for bench/jobserver_load only. It
// has neither timeouts nor a grace, and no stdin, directory or environment of a job.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <utility>
#include <vector>

#include "children.hpp"
#include "descriptor_limit.hpp"
#include "server.hpp"

namespace {

uv_handle_t* handle_of(uv_process_t* handle) { return reinterpret_cast<uv_handle_t*>(handle); }

// It deletes itself when the handle is closed.
struct spawned {
  uv_process_t process{};
  uvreap::callback told;

  static void on_exit(uv_process_t* process, std::int64_t code, int signum) {
    auto* self = static_cast<spawned*>(process->data);
    uvreap::child_exit exit{.pid = process->pid};
    exit.status = uvreap::wait_status(W_EXITCODE(static_cast<int>(code), signum));
    self->told(exit);
    uv_close(handle_of(process), on_close);
  }
  static void on_close(uv_handle_t* handle) { delete static_cast<spawned*>(handle->data); }
};

class uv_children final : public children {
 public:
  explicit uv_children(uv_loop_t& loop) : loop_(loop) {
    if (descriptor_limit::can_raise()) descriptor_limit::raise();
  }

  void spawn(const order& order, started started, uvreap::callback ended) override {
    uv_file output[2], error_output[2];
    int error = uv_pipe(output, UV_NONBLOCK_PIPE, 0);
    if (error != 0) return started(error, {});
    error = uv_pipe(error_output, UV_NONBLOCK_PIPE, 0);
    if (error != 0) {
      for (uv_file end : output) ::close(end);
      return started(error, {});
    }
    auto* made = new spawned;
    made->process.data = made;
    made->told = std::move(ended);
    error = spawn(made->process, order.asked.argv, output[1], error_output[1]);
    ::close(output[1]);
    ::close(error_output[1]);
    if (error == 0)
      return started(0, {.pid = made->process.pid, .output = output[0], .error_output = error_output[0]});
    ::close(output[0]);
    ::close(error_output[0]);
    uv_close(handle_of(&made->process), spawned::on_close);
    started(error, {});
  }
  void terminate(pid_t pid, std::chrono::milliseconds) override { ::kill(-pid, SIGTERM); }
  void kill_group(pid_t pid) override { ::kill(-pid, SIGKILL); }
  void opened(int) override {}
  void close() override {}
  [[nodiscard]] uvreap::statistics stats() const override { return {}; }

 private:
  int spawn(uv_process_t& process, const std::vector<std::string>& argv, int output, int error_output) {
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    uv_stdio_container_t streams[3]{};
    streams[0].flags = UV_IGNORE;
    streams[1].flags = streams[2].flags = UV_INHERIT_FD;
    streams[1].data.fd = output;
    streams[2].data.fd = error_output;
    uv_process_options_t options{};
    options.file = words[0];
    options.args = words.data();
    options.stdio = streams;
    options.stdio_count = 3;
    options.flags = UV_PROCESS_DETACHED;
    options.exit_cb = spawned::on_exit;
    return uv_spawn(&loop_, &process, &options);
  }

  uv_loop_t& loop_;
};

std::unique_ptr<children> make_uv_children(uv_loop_t& loop, uvreap::backend_kind, int& error) {
  error = 0;
  return std::make_unique<uv_children>(loop);
}

}  // namespace

int main(int argc, char** argv) { return serve(argc, argv, make_uv_children); }
