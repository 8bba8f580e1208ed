// A program that receives SIGCHLD itself, by a signalfd, and says so to the reaper.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "support/bare_loop.hpp"
#include "uvreap/reaper.hpp"

namespace {

uvreap::options without_sigchld(uvreap::scope children) {
  // No poller: what is not said is never found.
  return {.children = children,
          .backend = uvreap::backend_kind::peek,
          .sigchld = uvreap::sigchld_use::never,
          .poll_every = std::chrono::milliseconds(0),
          .unclaimed_grace = std::chrono::milliseconds(0),
          .sole_parent = children == uvreap::scope::any()};
}

void wait_until_ended(pid_t pid) {
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
}

void turn(uv_loop_t& loop, int times) {
  for (int i = 0; i < times; ++i) uv_run(&loop, UV_RUN_NOWAIT);
}

}  // namespace

TEST_CASE("an exit is found when SIGCHLD is said to have arrived, and not before") {
  for (uvreap::scope children : {uvreap::scope::watched(), uvreap::scope::any()}) {
    bool is_any = children == uvreap::scope::any();
    CAPTURE(is_any);
    test::bare_loop bare;
    {
      uvreap::reaper reaper(bare.loop, without_sigchld(children));
      CHECK(reaper.sigchld_arrived() == UV_EINVAL);
      REQUIRE(reaper.start() == 0);
      std::vector<uvreap::child_exit> told;
      auto tell = [&](const uvreap::child_exit& exit) { told.push_back(exit); };
      pid_t pid = 0;
      int gate[2];
      REQUIRE(::pipe2(gate, O_CLOEXEC) == 0);
      auto waits = [&gate] {
        ::close(gate[1]);
        char byte = 0;
        return ::read(gate[0], &byte, 1) == 0 ? 3 : 4;
      };
      REQUIRE(reaper.fork(&pid, waits, tell) == 0);
      turn(bare.loop, 3);  // any() looks at its start
      ::close(gate[0]);
      ::close(gate[1]);
      wait_until_ended(pid);
      turn(bare.loop, 5);
      CHECK(told.empty());
      CHECK(reaper.sigchld_arrived() == 0);
      CHECK(told.empty());  // never inside a call
      turn(bare.loop, 5);
      REQUIRE(told.size() == 1);
      CHECK(told[0].status.exit_code() == 3);
      CHECK(told[0].noticed_by == uvreap::notice::sigchld);
      CHECK(reaper.stats().wakeups_by_sigchld == 1);
    }
    turn(bare.loop, 1);
  }
}

TEST_CASE("any(): orphans and other children without a watch, too, by a signalfd") {
  test::bare_loop bare;
  sigset_t sigchld;
  sigemptyset(&sigchld);
  sigaddset(&sigchld, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &sigchld, nullptr);
  int signals = ::signalfd(-1, &sigchld, SFD_CLOEXEC | SFD_NONBLOCK);
  REQUIRE(signals >= 0);
  {
    int unclaimed = 0;
    uvreap::options options = without_sigchld(uvreap::scope::any());
    options.on_unclaimed = [&](const uvreap::child_exit&) { ++unclaimed; };
    uvreap::reaper reaper(bare.loop, options);
    REQUIRE(reaper.start() == 0);
    struct heard {
      uvreap::reaper* reaper;
      int signals;
    } heard{&reaper, signals};
    uv_poll_t poll;
    REQUIRE(uv_poll_init(&bare.loop, &poll, signals) == 0);
    poll.data = &heard;
    auto readable = [](uv_poll_t* handle, int, int) {
      auto* to = static_cast<struct heard*>(handle->data);
      signalfd_siginfo info;
      while (::read(to->signals, &info, sizeof info) > 0) CHECK(to->reaper->sigchld_arrived() == 0);
    };
    REQUIRE(uv_poll_start(&poll, UV_READABLE, readable) == 0);
    for (int i = 0; i < 20; ++i) {
      if (::fork() == 0) ::_exit(0);
    }
    while (unclaimed < 20) uv_run(&bare.loop, UV_RUN_ONCE);
    CHECK(unclaimed == 20);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll), nullptr);
    turn(bare.loop, 2);
  }
  turn(bare.loop, 1);
  ::close(signals);
  ::sigprocmask(SIG_UNBLOCK, &sigchld, nullptr);
}
