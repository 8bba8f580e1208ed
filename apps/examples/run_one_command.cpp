// Runs one command and reads what it writes through libuv, line ends and all; a program that is not there is
// an error of spawn itself.
#include <array>
#include <iostream>
#include <uvreap/reaper.hpp>

namespace {

std::array<char, 4096> part;

void give_room(uv_handle_t*, size_t, uv_buf_t* buffer) { *buffer = uv_buf_init(part.data(), part.size()); }

void print(uv_stream_t* output, ssize_t length, const uv_buf_t* read) {
  if (length >= 0) {
    std::cout.write(read->base, length);
  } else {
    uv_close(reinterpret_cast<uv_handle_t*>(output), nullptr);
  }
}

}  // namespace

int main(int argc, char** argv) {
  uv_loop_t* loop = uv_default_loop();
  uvreap::reaper reaper(*loop);
  if (reaper.start() != 0) return 1;

  int from_child = -1;
  uvreap::command command{.argv = {"sh", "-c", "echo hello; exit 3"}};
  if (argc > 1) command.argv.assign(argv + 1, argv + argc);
  command.output = uvreap::stdio::pipe(&from_child);
  command.error_output = uvreap::stdio::same_as_output();

  pid_t pid = 0;
  auto tell = [](const uvreap::child_exit& exit) { std::cout << exit << '\n'; };
  if (int error = reaper.spawn(&pid, command, tell); error != 0) {
    std::cerr << command.argv[0] << ": " << uv_strerror(error) << '\n';
    return 1;
  }
  uv_pipe_t output;
  uv_pipe_init(loop, &output, 0);
  uv_pipe_open(&output, from_child);
  uv_read_start(reinterpret_cast<uv_stream_t*>(&output), give_room, print);
  return uv_run(loop, UV_RUN_DEFAULT);
}
