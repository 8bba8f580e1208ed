// An exit is told when what the child wrote before it has been read: a whole poll phase lies between taking a
// status and telling it (systemd #18922, otp #10411). 200 children write and end at once, and the loop is
// slow.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <vector>

#include "support/loop_handle.hpp"
#include "support/stage.hpp"
#include "support/timing.hpp"

using std::chrono::microseconds;
using uvreap::child_exit;

namespace {

constexpr int crowd = 200;
constexpr std::size_t output = 64;

// A child that writes into a pipe of its own and ends, and the books on what came first.
struct talker {
  pid_t pid = 0;
  test::loop_handle<uv_pipe_t> pipe;
  std::size_t bytes_read = 0;
  int times_told = 0;
  bool told_too_early = false;

  void told() {
    ++times_told;
    if (bytes_read != output) told_too_early = true;
  }
};

class talkers {
 public:
  talkers(test::stage& stage, microseconds busy) : stage_(stage), busy_(busy), all_(crowd) {
    for (talker& one : all_) make(one);
  }

  void end() { gate_.open(crowd); }
  void wait_until_all_ended() {
    for (talker& one : all_) test::wait_until_ended(one.pid);
  }

  void watch_all() {
    for (talker& one : all_) {
      REQUIRE(stage_.reaper.watch(one.pid, [this, &one](const child_exit& exit) {
        test::busy_wait(busy_);
        CHECK(exit.status.success());
        one.told();
        ++told_;
      }) == 0);
    }
  }

  // What a reaper would do that tells an exit the moment it has the status.
  void take_and_tell_at_once() {
    for (talker& one : all_) {
      REQUIRE(::waitpid(one.pid, nullptr, 0) == one.pid);
      one.told();
      ++told_;
    }
  }

  [[nodiscard]] bool all_told() const { return told_ == crowd; }
  [[nodiscard]] bool all_read() const {
    for (const talker& one : all_) {
      if (one.bytes_read != output) return false;
    }
    return true;
  }
  [[nodiscard]] int told_too_early() const {
    int count = 0;
    for (const talker& one : all_) count += one.told_too_early ? 1 : 0;
    return count;
  }

 private:
  struct readable {
    talker* owner;
    microseconds busy;
  };

  void make(talker& one) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    one.pid = test::make_child([&] {
      gate_.wait();
      std::array<char, output> words{};
      return ::write(ends[1], words.data(), words.size()) == static_cast<ssize_t>(output) ? 0 : 1;
    });
    ::close(ends[1]);
    auto init = [](uv_loop_t* loop, uv_pipe_t* pipe) { return uv_pipe_init(loop, pipe, 0); };
    one.pipe = test::make_handle<uv_pipe_t>(stage_.loop, init, {});
    REQUIRE(uv_pipe_open(one.pipe.get(), ends[0]) == 0);
    readers_.push_back(std::make_unique<readable>(readable{&one, busy_}));
    one.pipe->data = readers_.back().get();
    REQUIRE(uv_read_start(reinterpret_cast<uv_stream_t*>(one.pipe.get()), give_buffer, on_read) == 0);
  }

  static void give_buffer(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
    static std::array<char, 256> space;
    *buffer = uv_buf_init(space.data(), space.size());
  }

  static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t*) {
    auto* reader = static_cast<readable*>(stream->data);
    test::busy_wait(reader->busy);
    if (count > 0) reader->owner->bytes_read += static_cast<std::size_t>(count);
    if (count < 0) uv_read_stop(stream);
  }

  test::stage& stage_;
  microseconds busy_;
  test::gate gate_;
  std::vector<std::unique_ptr<readable>> readers_;
  std::vector<talker> all_;
  int told_ = 0;
};

}  // namespace

TEST_CASE("no exit is told before the output of the child was read, however slow the loop's callbacks are") {
  for (microseconds busy : {microseconds(0), microseconds(20), microseconds(100)}) {
    for (int again = 0; again < 3; ++again) {
      CAPTURE(busy.count());
      test::stage stage;
      talkers children(stage, busy);
      auto slow_before = test::on_prepare(stage.loop, [&] { test::busy_wait(busy); });
      auto slow_after = test::on_check(stage.loop, [&] { test::busy_wait(busy); });
      children.watch_all();
      children.end();
      stage.run_until([&] { return children.all_told(); });
      CHECK(children.told_too_early() == 0);
      CHECK(children.all_read());
    }
  }
}

TEST_CASE(
    "no exit of an ended child is told before its output, when it is watched late and nothing was read yet") {
  test::stage stage;
  talkers children(stage, microseconds(0));
  children.end();
  children.wait_until_all_ended();
  children.watch_all();
  stage.run_until([&] { return children.all_told(); });
  CHECK(children.told_too_early() == 0);
}

TEST_CASE("the books of this test see an exit that is told at once, so they would see ours") {
  test::stage stage;
  talkers children(stage, microseconds(0));
  children.end();
  children.wait_until_all_ended();  // the output is in the pipes, and no poll has been since
  children.take_and_tell_at_once();
  stage.run_until([&] { return children.all_read(); });
  CHECK(children.told_too_early() == crowd);
}
