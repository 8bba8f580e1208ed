// A command's standard descriptors: where they come from, and that they do not get into each other's way.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "support/apart.hpp"
#include "support/commands.hpp"

using uvreap::child_exit;
using uvreap::command;
using uvreap::stdio;

namespace {

int memory_file() { return ::memfd_create("uvreap-test", MFD_CLOEXEC); }

std::string contents(int file) {
  ::lseek(file, 0, SEEK_SET);
  return test::read_all(file);
}

int code_of(pid_t pid) {
  int word = -1;
  ::waitpid(pid, &word, 0);
  return WIFEXITED(word) ? WEXITSTATUS(word) : -1;
}

// Runs it to its end with two files as our own stdout and stderr, in a process whose stdout and stderr they
// may be.
struct two_files {
  int first = memory_file();
  int second = memory_file();
  int run(const command& what, int flags = 0) const {
    int said = ::fcntl(2, F_DUPFD_CLOEXEC, 3);
    ::dup3(first, 1, flags);
    ::dup3(second, 2, flags);
    pid_t pid = 0;
    int error = uvreap::spawn(&pid, what);
    ::dup2(said, 2);
    return error != 0 ? error : code_of(pid);
  }
};

void run(test::stage& stage, const command& what) {
  pid_t pid = 0;
  bool told = false;
  REQUIRE(stage.reaper.spawn(&pid, what, [&](const child_exit& exit) {
    CHECK(exit.status.success());
    told = true;
  }) == 0);
  stage.run_until([&] { return told; });
}

const command speak_twice = test::shell("echo out; echo err >&2");

}  // namespace

TEST_CASE("our end of a pipe does not block, is closed on exec, and is the caller's") {
  test::stage stage;
  int to_child = test::untouched;
  int from_child = test::untouched;
  int errors = test::untouched;
  command cat = test::shell("cat; cat /proc/self/fdinfo/1 >&2");
  cat.input = stdio::pipe(&to_child);
  cat.output = stdio::pipe(&from_child);
  cat.error_output = stdio::pipe(&errors);
  pid_t pid = 0;
  bool told = false;
  REQUIRE(stage.reaper.spawn(&pid, cat, [&](const child_exit&) { told = true; }) == 0);
  for (int end : {to_child, from_child, errors}) {
    CHECK(end > 2);
    CHECK((::fcntl(end, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(end, F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(::write(to_child, "hello", 5) == 5);
  ::close(to_child);
  stage.run_until([&] { return told; });
  CHECK(test::read_all(from_child) == "hello");
  CHECK(test::comes_to_its_end(from_child));  // nobody else holds the other end
  std::string flags = test::read_all(errors);
  CHECK(flags.find("flags:\t01\n") !=
        std::string::npos);  // O_WRONLY and nothing more: the child's end blocks
  ::close(from_child);
  ::close(errors);
}

TEST_CASE("libuv takes our ends as they are, and a mebibyte goes through a command") {
  test::stage stage;
  int to_child = -1;
  int from_child = -1;
  pid_t pid = 0;
  bool told = false;
  command cat{.argv = {"cat"}, .input = stdio::pipe(&to_child), .output = stdio::pipe(&from_child)};
  REQUIRE(stage.reaper.spawn(&pid, cat, [&](const child_exit&) { told = true; }) == 0);

  struct reading {
    uv_pipe_t pipe{};
    std::string text;
    std::array<char, 65536> part{};
  } reading;
  uv_pipe_t writing;
  REQUIRE(uv_pipe_init(&stage.loop, &writing, 0) == 0);
  REQUIRE(uv_pipe_init(&stage.loop, &reading.pipe, 0) == 0);
  REQUIRE(uv_pipe_open(&writing, to_child) == 0);
  REQUIRE(uv_pipe_open(&reading.pipe, from_child) == 0);

  std::string sent(1 << 20, 'x');
  sent.back() = '.';
  uv_buf_t whole = uv_buf_init(sent.data(), static_cast<unsigned>(sent.size()));
  uv_write_t request;
  REQUIRE(uv_write(&request, reinterpret_cast<uv_stream_t*>(&writing), &whole, 1,
                   [](uv_write_t* done, int error) {
                     CHECK(error == 0);
                     uv_close(reinterpret_cast<uv_handle_t*>(done->handle), nullptr);
                   }) == 0);
  reading.pipe.data = &reading;
  auto give = [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
    auto& part = static_cast<struct reading*>(handle->data)->part;
    *buffer = uv_buf_init(part.data(), static_cast<unsigned>(part.size()));
  };
  auto take = [](uv_stream_t* stream, ssize_t length, const uv_buf_t* buffer) {
    if (length < 0) return uv_close(reinterpret_cast<uv_handle_t*>(stream), nullptr);
    static_cast<struct reading*>(stream->data)->text.append(buffer->base, static_cast<std::size_t>(length));
  };
  REQUIRE(uv_read_start(reinterpret_cast<uv_stream_t*>(&reading.pipe), give, take) == 0);
  stage.run_until([&] { return told; });
  stage.run_dry();
  CHECK(reading.text == sent);
}

TEST_CASE("null is at its end, and swallows") {
  test::stage stage;
  command cat = test::shell("cat; echo out; echo err >&2; cat <&1");
  cat.input = cat.output = cat.error_output = stdio::null();
  run(stage, cat);
}

TEST_CASE("files are opened with their flags and mode, and stay open over the exec") {
  test::stage stage;
  test::scratch_directory scratch;
  std::string text = scratch.make("input", "old\n");
  command copy = test::shell("cat; echo more");
  copy.input = stdio::file(text, O_RDONLY | O_CLOEXEC);
  copy.output = stdio::file(scratch / "output", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  copy.error_output = stdio::same_as_output();
  run(stage, copy);
  CHECK(scratch.contents("output") == "old\nmore\n");
  struct stat made {};
  CHECK(::stat((scratch / "output").c_str(), &made) == 0);
  CHECK((made.st_mode & 0777) == 0600);

  copy.output = stdio::file(scratch / "output", O_WRONLY | O_APPEND);
  run(stage, copy);
  CHECK(scratch.contents("output") == "old\nmore\nold\nmore\n");
}

TEST_CASE("a given descriptor is copied, may serve twice, and stays ours") {
  test::stage stage;
  int file = memory_file();
  command both = speak_twice;
  both.output = both.error_output = stdio::descriptor(file);
  run(stage, both);
  CHECK(contents(file) == "out\nerr\n");
  CHECK((::fcntl(file, F_GETFD) & FD_CLOEXEC) != 0);
  ::close(file);
}

TEST_CASE("the error output is what the output is, wherever that goes") {
  test::stage stage;
  command both = test::shell("echo 1; echo 2 >&2; echo 3");
  both.error_output = stdio::same_as_output();
  CHECK(test::output_of(stage, both) == "1\n2\n3\n");
}

TEST_CASE("stdout and stderr may be swapped, crossed with others and given to themselves") {
  auto end = test::apart([] {
    two_files swapped;
    command speak = speak_twice;
    speak.output = stdio::descriptor(2);
    speak.error_output = stdio::descriptor(1);
    HOLDS(swapped.run(speak, O_CLOEXEC) == 0);
    HOLDS(contents(swapped.first) == "err\n");
    HOLDS(contents(swapped.second) == "out\n");

    two_files straight;  // close-on-exec is to go where source and target are one
    speak.output = stdio::descriptor(1);
    speak.error_output = stdio::descriptor(2);
    HOLDS(straight.run(speak, O_CLOEXEC) == 0);
    HOLDS(contents(straight.first) == "out\n");
    HOLDS(contents(straight.second) == "err\n");

    two_files inherited;
    speak.output = speak.error_output = stdio::inherit();
    HOLDS(inherited.run(speak) == 0);
    HOLDS(contents(inherited.first) == "out\n");
    HOLDS(contents(inherited.second) == "err\n");

    two_files rotated;  // input from 1, output to 2, and the error output to where input was
    ::dup2(rotated.first, 0);
    HOLDS(::write(rotated.second, "sent\n", 5) == 5);
    command rotate = test::shell("cat <&0; echo err >&2");
    rotate.input = stdio::descriptor(1);
    rotate.output = stdio::descriptor(2);
    rotate.error_output = stdio::descriptor(0);
    ::lseek(rotated.second, 0, SEEK_SET);
    std::swap(rotated.first, rotated.second);  // 0 and 2: the first; 1: the second, with the text
    HOLDS(rotated.run(rotate) == 0);
    HOLDS(contents(rotated.second) == "sent\nerr\n");
    return 0;
  });
  CHECK_MESSAGE(end.word == 0, end.said);
}

TEST_CASE("pipes serve where our own standard descriptors are closed, and their ends stay above 2") {
  for (int closed = 1; closed < 8; ++closed) {
    auto end = test::apart([closed] {
      int said = ::fcntl(2, F_DUPFD_CLOEXEC, 10);
      for (int number = 0; number < 3; ++number) {
        if ((closed >> number & 1) != 0) ::close(number);
      }
      int ends[3] = {-1, -1, -1};
      command speak = test::shell("cat; echo err >&2");
      speak.input = stdio::pipe(&ends[0]);
      speak.output = stdio::pipe(&ends[1]);
      speak.error_output = stdio::pipe(&ends[2]);
      pid_t pid = 0;
      int error = uvreap::spawn(&pid, speak);
      bool closed_on_exec = true;
      for (int each : ends) closed_on_exec = closed_on_exec && ::fcntl(each, F_GETFD) == FD_CLOEXEC;
      bool written = ::write(ends[0], "hello\n", 6) == 6;
      ::close(ends[0]);
      int code = code_of(pid);
      std::string output = test::read_all(ends[1]);
      std::string errors = test::read_all(ends[2]);
      bool still_closed = true;
      for (int number = 0; number < 3; ++number) {
        if ((closed >> number & 1) != 0 && ::fcntl(number, F_GETFD) >= 0) still_closed = false;
      }
      ::dup2(said, 2);
      HOLDS(error == 0);
      HOLDS(written);
      HOLDS(code == 0);
      HOLDS(ends[0] > 2);
      HOLDS(ends[1] > 2);
      HOLDS(ends[2] > 2);
      HOLDS(closed_on_exec);
      HOLDS(output == "hello\n");
      HOLDS(errors == "err\n");
      HOLDS(still_closed);
      return 0;
    });
    CHECK_MESSAGE(end.word == 0, end.said);
  }
}

TEST_CASE("what is closed here is closed there, whatever lands on its number meanwhile") {
  auto end = test::apart([] {
    ::close(0);
    int from_child = -1;
    command look = test::shell("[ -e /proc/self/fd/0 ] && echo open || echo closed");
    look.output = stdio::pipe(&from_child);
    pid_t pid = 0;
    HOLDS(uvreap::spawn(&pid, look) == 0);
    HOLDS(code_of(pid) == 0);
    HOLDS(test::read_all(from_child) == "closed\n");
    return 0;
  });
  CHECK_MESSAGE(end.word == 0, end.said);
}

TEST_CASE("the epoll set of a loop that was made while 0, 1 or 2 was closed is no child's") {
  for (int number : {0, 1, 2}) {
    auto end = test::apart([number] {
      int said = ::fcntl(2, F_DUPFD_CLOEXEC, 10);
      ::close(number);
      uv_loop_t loop;
      HOLDS(uv_loop_init(&loop) == 0);
      bool is_the_loops = ::fcntl(number, F_GETFD) >= 0;
      pid_t pid = 0;
      int error = uvreap::spawn(&pid, test::shell("[ ! -e /proc/$$/fd/" + std::to_string(number) + " ]"));
      int merged = 0;
      if (number == 1) {
        pid_t none = 0;
        command both = test::shell("exit 0");
        both.error_output = stdio::same_as_output();
        merged = uvreap::spawn(&none, both);
      }
      int code = error == 0 ? code_of(pid) : -1;
      ::dup2(said, 2);
      HOLDS(is_the_loops);
      HOLDS(error == 0);
      HOLDS(code == 0);
      HOLDS(number != 1 || merged == UV_EBADF);
      return 0;
    });
    CHECK_MESSAGE(end.word == 0, end.said);
  }
}
