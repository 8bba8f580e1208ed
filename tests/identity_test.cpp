// What this machine's kernel says of births, in truth: no fake one here.
#include "os/birth.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cerrno>

#include "os/syscalls.hpp"
#include "support/children.hpp"
#include "support/fork_as.hpp"

using uvreap::birth;
using uvreap::child_state;
using uvreap::descriptor;
using uvreap::identity;

namespace {

pid_t sleeping_child() {
  return test::make_child([] {
    for (;;) ::pause();
    return 0;
  });
}

void end(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

bool has_inodes() {
  descriptor ours(uvreap::sys::pidfd_open(::getpid()));
  return ours && birth::of(::getpid(), ours.get()).what == birth::kind::inode;
}

}  // namespace

TEST_CASE("a process has one birth, living or a zombie, whichever pidfd is asked") {
  pid_t pid = sleeping_child();
  identity one(pid);
  int error = one.open();
  birth first = one.born();
  REQUIRE(first.what != birth::kind::unknown);
  CHECK(first.tag() != 0);
  CHECK_FALSE(first.differs_from(identity(one.pid).born()));  // unknown: it differs from nothing
  ::kill(pid, SIGKILL);
  test::wait_until_ended(pid);
  identity again(pid);
  CHECK(again.open() == error);
  CHECK_FALSE(first.differs_from(again.born()));
  CHECK(first.tag() == again.born().tag());
  CHECK(one.look() == child_state::ended);
  CHECK(one.without_pidfd().look() == child_state::ended);
  end(pid);
  CHECK(one.look() == child_state::none);
  CHECK(one.without_pidfd().look() == child_state::none);
}

TEST_CASE("two processes have two births") {
  pid_t one = sleeping_child();
  pid_t other = sleeping_child();
  descriptor first(uvreap::sys::pidfd_open(one));
  descriptor second(uvreap::sys::pidfd_open(other));
  if (first && has_inodes()) CHECK(birth::of(one, first.get()).differs_from(birth::of(other, second.get())));
  end(one);
  end(other);
}

TEST_CASE("a younger process with the number has another birth") {
  pid_t pid = sleeping_child();
  identity elder(pid);
  (void)elder.open();
  end(pid);
  ::usleep(20'000);  // more than a clock tick, for where the start time is all there is
  pid_t younger = test::fork_as(pid);
  if (younger == 0) {
    for (;;) ::pause();
  }
  if (younger < 0) {
    MESSAGE("SKIP: a child's number cannot be chosen here (clone3 set_tid), errno ", errno);
    return;
  }
  REQUIRE(younger == pid);
  identity anew(pid);
  (void)anew.open();
  CHECK(elder.born().differs_from(anew.born()));
  CHECK(birth::of(pid, -1).what == birth::kind::start_time);
  CHECK(elder.look() == child_state::none);
  CHECK(elder.without_pidfd().look() == child_state::none);
  CHECK(elder.signal(SIGKILL) == UV_ESRCH);
  CHECK(elder.without_pidfd().signal(SIGKILL) == UV_ESRCH);
  CHECK(anew.look() == child_state::living);
  descriptor fresh;
  CHECK(elder.reopen(fresh) == UV_ESRCH);
  CHECK(anew.reopen(fresh) == 0);
  end(pid);
}

TEST_CASE("a start time is read whatever the process is called") {
  for (const char* name : {"sleeper", ") R 1 2 3", "a b (c) ", "))))((((", "\xff\xfe\n x"}) {
    CAPTURE(name);
    test::gate is_named;
    pid_t pid = test::make_child([&] {
      ::prctl(PR_SET_NAME, name);
      is_named.open();
      for (;;) ::pause();
      return 0;
    });
    is_named.wait();
    std::uint64_t ticks = 0;
    std::uint64_t ours = 0;
    CHECK(uvreap::sys::start_time_of(pid, &ticks) == 0);
    CHECK(uvreap::sys::start_time_of(::getpid(), &ours) == 0);
    CHECK(ticks >= ours);
    CHECK(ticks < ours + 360'000);  // ticks of 10 ms: an hour
    end(pid);
  }
}

TEST_CASE("the start time of nobody is not told") {
  pid_t pid = sleeping_child();
  end(pid);
  std::uint64_t ticks = 0;
  CHECK(uvreap::sys::start_time_of(pid, &ticks) == -1);
  CHECK(birth::of(pid, -1).what == birth::kind::unknown);
  CHECK(birth::of(pid, -1).tag() == 0);
}
