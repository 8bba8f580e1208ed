// What a forked copy closes before uv_loop_fork(loop) it takes out of the epoll set that it still shares with
// the parent. With plain handles that makes the parent deaf, and so shows that these tests would see it; with
// a reaper, whatever the copy does with it and in whichever order, the parent is told as ever.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "support/apart.hpp"
#include "support/loop_handle.hpp"
#include "support/stage.hpp"
#include "uvreap/process.hpp"

using std::chrono::milliseconds;
using uvreap::child_exit;

namespace {

void check(const test::end_of_process& end) { CHECK_MESSAGE(end.word == 0, end.said); }

// A pipe whose reading end a loop polls.
class polled_pipe {
 public:
  explicit polled_pipe(uv_loop_t& loop) {
    REQUIRE(::pipe2(ends_, O_CLOEXEC | O_NONBLOCK) == 0);
    auto init = [this](uv_loop_t* on, uv_poll_t* handle) {
      REQUIRE(uv_poll_init(on, handle, ends_[0]) == 0);
    };
    poll_ = test::make_handle<uv_poll_t>(loop, init, [this] {
      heard = true;
      uv_poll_stop(poll_.get());
    });
    auto run = [](uv_poll_t* handle, int, int) { test::handle_with_call<uv_poll_t>::run(handle); };
    REQUIRE(uv_poll_start(poll_.get(), UV_READABLE, run) == 0);
  }
  ~polled_pipe() {
    close_handle();
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  polled_pipe(const polled_pipe&) = delete;
  polled_pipe& operator=(const polled_pipe&) = delete;

  bool heard = false;
  void write() const { REQUIRE(::write(ends_[1], "x", 1) == 1); }
  void close_handle() { poll_.reset(); }

 private:
  int ends_[2] = {-1, -1};
  test::loop_handle<uv_poll_t> poll_;
};

// The same read as a stream.
class read_pipe {
 public:
  explicit read_pipe(uv_loop_t& loop) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    writing_end_ = ends[1];
    auto init = [](uv_loop_t* on, uv_pipe_t* handle) { REQUIRE(uv_pipe_init(on, handle, 0) == 0); };
    pipe_ = test::make_handle<uv_pipe_t>(loop, init, [this] { heard = true; });
    REQUIRE(uv_pipe_open(pipe_.get(), ends[0]) == 0);
    auto room = [](uv_handle_t*, size_t, uv_buf_t* buffer) {
      static char byte;
      *buffer = uv_buf_init(&byte, 1);
    };
    auto run = [](uv_stream_t* stream, ssize_t, const uv_buf_t*) {
      test::handle_with_call<uv_pipe_t>::run(reinterpret_cast<uv_pipe_t*>(stream));
    };
    REQUIRE(uv_read_start(reinterpret_cast<uv_stream_t*>(pipe_.get()), room, run) == 0);
  }
  ~read_pipe() {
    close_handle();
    ::close(writing_end_);
  }
  read_pipe(const read_pipe&) = delete;
  read_pipe& operator=(const read_pipe&) = delete;

  bool heard = false;
  void write() const { REQUIRE(::write(writing_end_, "x", 1) == 1); }
  void close_handle() { pipe_.reset(); }

 private:
  int writing_end_ = -1;
  test::loop_handle<uv_pipe_t> pipe_;
};

// Everything that was ready before this call has been heard when it returns: a pipe that is written now is
// heard in the same poll, or a later one.
void let_all_be_heard(test::stage& stage) {
  polled_pipe last(stage.loop);
  last.write();
  stage.run_until([&] { return last.heard; });
}

struct way {
  std::string name;
  std::function<int(test::stage&)> in_copy;
};

int run_copy(test::stage& stage) {
  for (int turns = 0; turns < 5; ++turns) uv_run(&stage.loop, UV_RUN_NOWAIT);
  return 0;
}

const std::vector<way>& ways() {
  static const std::vector<way> all = {
      {"left alone", [](test::stage&) { return 0; }},
      {"left alone, and the loop goes on",
       [](test::stage& stage) {
         HOLDS(uv_loop_fork(&stage.loop) == 0);
         return run_copy(stage);
       }},
      {"destroyed", [](test::stage& stage) { return stage.destroy_reaper(), 0; }},
      {"destroyed before uv_loop_fork",
       [](test::stage& stage) {
         stage.destroy_reaper();
         HOLDS(uv_loop_fork(&stage.loop) == 0);
         return run_copy(stage);
       }},
      {"destroyed after uv_loop_fork",
       [](test::stage& stage) {
         HOLDS(uv_loop_fork(&stage.loop) == 0);
         stage.destroy_reaper();
         return run_copy(stage);
       }},
      {"begun afresh after uv_loop_fork",
       [](test::stage& stage) {
         HOLDS(uv_loop_fork(&stage.loop) == 0);
         HOLDS(stage.reaper.after_fork() == 0);
         return run_copy(stage);
       }},
      {"begun afresh, closed and destroyed",
       [](test::stage& stage) {
         HOLDS(uv_loop_fork(&stage.loop) == 0);
         HOLDS(stage.reaper.after_fork() == 0);
         HOLDS(stage.reaper.close() == 0);
         run_copy(stage);
         stage.destroy_reaper();
         return run_copy(stage);
       }},
      {"told to close, which a copy may not",
       [](test::stage& stage) {
         HOLDS(stage.reaper.close() == UV_EPERM);
         HOLDS(uv_loop_fork(&stage.loop) == 0);
         return run_copy(stage);
       }},
  };
  return all;
}

}  // namespace

TEST_CASE(
    "plain handles that a copy closes before uv_loop_fork are the parent's loss, after it they are not") {
  for (bool too_early : {true, false}) {
    CAPTURE(too_early);
    test::stage stage;
    polled_pipe polled(stage.loop);
    read_pipe read(stage.loop);
    stage.turn();  // libuv tells the epoll set of them only now
    check(test::apart([&] {
      if (!too_early) HOLDS(uv_loop_fork(&stage.loop) == 0);
      polled.close_handle();
      read.close_handle();
      if (too_early) HOLDS(uv_loop_fork(&stage.loop) == 0);
      return run_copy(stage);
    }));
    polled.write();
    read.write();
    let_all_be_heard(stage);
    CHECK(polled.heard == !too_early);
    CHECK(read.heard == !too_early);
  }
}

TEST_CASE(
    "whatever a copy does with the reaper, the parent's children are told, and by whom they always are") {
  for (const way& way : ways()) {
    CAPTURE(way.name);
    for (bool by_uvreap : {false, true}) {
      auto options = test::options_of_this_run();
      if (!test::poller_alone()) options.poll_every = std::chrono::minutes(10);  // it must not make up for it
      test::stage stage(options);
      polled_pipe other(stage.loop);
      test::gate first_gate;
      test::gate second_gate;
      std::vector<child_exit> told;
      auto note = [&](const child_exit& exit) { told.push_back(exit); };
      pid_t first = test::make_child([&] { return first_gate.wait(), 1; });
      pid_t second = test::make_child([&] { return second_gate.wait(), 2; });
      REQUIRE(stage.reaper.watch(first, note) == 0);
      REQUIRE(stage.reaper.watch(second, note) == 0);
      stage.turn();

      auto body = [&] { return way.in_copy(stage); };
      check(by_uvreap ? test::apart(body, test::fork_as_uvreap_does) : test::apart(body));
      first_gate.open();
      stage.run_until([&] { return told.size() == 1; });
      second_gate.open();
      stage.run_until([&] { return told.size() == 2; });
      CHECK(told[0].pid == first);
      CHECK(told[0].status.raw() == test::exited_with(1));
      CHECK(told[0].noticed_by == test::usual_notice());
      CHECK(told[1].pid == second);
      CHECK(told[1].status.raw() == test::exited_with(2));
      CHECK(told[1].noticed_by == test::usual_notice());

      other.write();
      let_all_be_heard(stage);
      CHECK(other.heard);
    }
  }
}

// libuv keeps one table of signal handles for all loops of a process, and fork(2) copies it: a signal in the
// copy is written into the pipes of all loops that are in it, and those of the parent's loops are the
// parent's. So a copy that leaves the parent's loop alone must not listen to a signal that this loop listens
// to.
TEST_CASE(
    "a signal that a copy hears on a new loop comes to the parent's loop too, but not after uv_loop_fork") {
  for (bool taken_over : {false, true}) {
    CAPTURE(taken_over);
    test::stage stage;
    bool heard = false;
    auto usr2 = test::on_signal(stage.loop, SIGUSR2, [&] { heard = true; });
    stage.turn();
    check(test::apart([&] {
      if (taken_over) HOLDS(uv_loop_fork(&stage.loop) == 0);
      uv_loop_t loop;
      HOLDS(uv_loop_init(&loop) == 0);
      bool heard_here = false;
      auto own = test::on_signal(loop, SIGUSR2, [&] { heard_here = true; });
      ::raise(SIGUSR2);
      while (!heard_here) uv_run(&loop, UV_RUN_ONCE);
      (void)own.release();
      return 0;
    }));
    let_all_be_heard(stage);
    CHECK(heard == !taken_over);
  }
}

// The reaper takes care of that for its own handle. Where the parent's is gone meanwhile, what its loop would
// read is freed memory, which only a sanitizer or valgrind sees; elsewhere the needless passes are seen, on
// the rungs where SIGCHLD begins one.
TEST_CASE(
    "the children of a copy that has a loop and a reaper of its own do not wake the parent, or what was it") {
  for (bool gone_meanwhile : {false, true}) {
    for (bool by_uvreap : {false, true}) {
      CAPTURE(gone_meanwhile);
      CAPTURE(by_uvreap);
      auto options = test::options_of_this_run();
      if (!test::poller_alone()) options.poll_every = std::chrono::minutes(10);
      test::stage stage(options);
      test::gate gate;
      test::gate copy_gate;
      int told = 0;
      auto note = [&](const child_exit&) { ++told; };
      pid_t child = test::make_child([&] { return gate.wait(), 1; });
      REQUIRE(stage.reaper.watch(child, note) == 0);
      stage.run_for(milliseconds(5));
      auto passes = stage.reaper.stats().sweeps;

      auto reap_in_copy = [&] {
        copy_gate.wait();
        uv_loop_t loop;
        HOLDS(uv_loop_init(&loop) == 0);
        uvreap::reaper reaper(loop, test::options_of_this_run());
        HOLDS(reaper.start() == 0);
        for (int times = 0; times < 20; ++times) {
          pid_t pid = 0;
          int heard = 0;
          HOLDS(reaper.fork(
                    &pid, [] { return 0; }, [&](const child_exit&) { ++heard; }) == 0);
          uv_run(&loop, UV_RUN_DEFAULT);
          HOLDS(heard == 1);
        }
        return 0;
      };
      pid_t copy = by_uvreap ? test::fork_as_uvreap_does() : ::fork();
      if (copy == 0) {
        test::be_apart(2);
        ::_exit(reap_in_copy());
      }
      REQUIRE(copy > 0);
      if (gone_meanwhile) {
        REQUIRE(stage.reaper.release(child) == 0);
        stage.destroy_reaper();
        stage.turn();  // the handles are freed
      }
      copy_gate.open();
      while (!gone_meanwhile && !test::zombies().contains(copy)) stage.turn();
      int word = -1;
      CHECK(::waitpid(copy, &word, 0) == copy);
      CHECK(word == 0);
      let_all_be_heard(stage);
      if (gone_meanwhile) {
        gate.open();
        CHECK(::waitpid(child, &word, 0) == child);
        continue;
      }
      // Our own SIGCHLD for the copy's end is a pass or two.
      if (!test::poller_alone()) CHECK(stage.reaper.stats().sweeps - passes <= 3);
      gate.open();
      stage.run_until([&] { return told == 1; });
    }
  }
}
