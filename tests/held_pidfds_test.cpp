// How many pidfds a process holds, and what becomes of children for which none is left.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <uv.h>

#include <cerrno>

#include "support/children.hpp"
#include "support/core_rig.hpp"

using test::core_rig;
using test::fake_call;
using test::known_by;
using test::with_budget;
using uvreap::claims;
using uvreap::notice;

namespace {

uvreap::options on(uvreap::backend_kind kind) {
  auto options = with_budget(64);
  options.backend = kind;
  return options;
}

// Of 64 pidfds; the fake kernel has one of each process, too.
class few_descriptors {
 public:
  few_descriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    ::rlimit few = before_;
    few.rlim_cur = 4 * 64;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  }
  ~few_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  few_descriptors(const few_descriptors&) = delete;
  few_descriptors& operator=(const few_descriptors&) = delete;

 private:
  ::rlimit before_{};
};

// All end, and each is delivered with its own status; then nothing is held.
void end_and_check(core_rig& rig, const std::vector<pid_t>& pids) {
  rig.end_all(pids);
  rig.wake(notice::backend);
  rig.find(notice::sigchld);
  for (pid_t pid : pids) CHECK(rig.delivered_once(pid).status.raw() == test::word_of(pid));
  CHECK(rig.stats().held_pidfds == 0);
  CHECK(claims::of_this_process()->held() == 0);
}

}  // namespace

TEST_CASE("peek holds 64 pidfds, and no other stays open") {
  core_rig rig(known_by::held_pidfd);
  auto pids = rig.born_watched(64);
  int open = test::open_descriptors();
  auto more = rig.born_watched(36);
  CHECK(test::open_descriptors() - open == 36);  // the fake kernel's own
  CHECK(rig.stats().held_pidfds == 64);
  CHECK(rig.stats().on_peek == 100);
  CHECK(rig.stats().by_number == 0);
  pids.insert(pids.end(), more.begin(), more.end());
  end_and_check(rig, pids);
}

TEST_CASE("the backend pidfd holds a quarter of the descriptors, and peek has the other children") {
  few_descriptors limit;
  core_rig rig(on(uvreap::backend_kind::pidfd), known_by::held_pidfd);
  auto pids = rig.born_watched(100);
  auto now = rig.stats();
  CHECK(now.held_pidfds == 64);
  CHECK(now.on_pidfd == 64);
  CHECK(now.on_peek == 36);
  CHECK(now.degraded == UV_EMFILE);
  CHECK(now.by_number == 0);
  end_and_check(rig, pids);
}

TEST_CASE("two reapers hold as many together") {
  few_descriptors limit;
  core_rig rig(on(uvreap::backend_kind::pidfd), known_by::held_pidfd);
  core_rig another(rig.kernel, on(uvreap::backend_kind::pidfd));
  auto pids = rig.born_watched(40);
  auto others = another.born_watched(40);
  CHECK(rig.stats().on_pidfd == 40);
  CHECK(another.stats().on_pidfd == 24);
  CHECK(claims::of_this_process()->held() == 64);
  rig.end_all(pids);
  rig.wake(notice::backend);
  rig.settle();
  CHECK(claims::of_this_process()->held() == 24);
  end_and_check(another, others);
}

TEST_CASE("children that found no pidfd are promoted at a tick, once there are some") {
  few_descriptors limit;
  core_rig rig(on(uvreap::backend_kind::pidfd), known_by::held_pidfd);
  auto first = rig.born_watched(64);
  auto second = rig.born_watched(20);
  rig.find(notice::poller);
  CHECK(rig.stats().on_peek == 20);
  rig.end_all(first);
  rig.wake(notice::backend);
  rig.settle();
  rig.find(notice::poller);
  CHECK(rig.stats().on_pidfd == 20);
  end_and_check(rig, second);
}

TEST_CASE("a termination holds one, and gives it back when it is over") {
  core_rig rig(known_by::held_pidfd);
  pid_t pid = rig.born_watched();
  REQUIRE(rig.core->terminate(pid, std::chrono::milliseconds(50)) == 0);
  CHECK(rig.stats().held_pidfds == 2);
  SUBCASE("by the child's end") { end_and_check(rig, {pid}); }
  SUBCASE("by SIGKILL") {
    rig.kernel.time_passes(std::chrono::milliseconds(60));
    rig.settle();
    CHECK(rig.stats().held_pidfds == 1);
  }
  SUBCASE("by a release") {
    REQUIRE(rig.release(pid) == 0);
    CHECK(rig.stats().held_pidfds == 0);
  }
  SUBCASE("by a close") {
    rig.close();
    CHECK(claims::of_this_process()->held() == 0);
  }
}

TEST_CASE("a backend that named all that ended is silent, though others hold their pidfds") {
  core_rig rig(on(uvreap::backend_kind::pidfd), known_by::held_pidfd);
  auto pids = rig.born_watched(20);
  auto living = rig.born_watched(3);
  rig.end_all(pids);
  rig.wake(notice::backend);
  rig.settle(20);
  for (pid_t pid : pids) CHECK(rig.delivered_once(pid).noticed_by == notice::backend);
  rig.wake(notice::backend);
  CHECK_FALSE(rig.sweep());
  rig.close();
  CHECK(claims::of_this_process()->held() == 0);
}

TEST_CASE("a zombie that a tracer holds is off the backend, which would name it for ever") {
  core_rig rig(on(uvreap::backend_kind::pidfd), known_by::held_pidfd);
  pid_t pid = rig.born_watched();
  rig.kernel.ends(pid, test::exited_with(5));
  rig.kernel.traced(pid, true);
  rig.wake(notice::backend);
  CHECK(rig.settle(4) <= 4);
  rig.wake(notice::backend);
  CHECK_FALSE(rig.sweep());
  CHECK(rig.stats().on_backend == 0);
  CHECK(rig.stats().on_peek == 1);
  CHECK(rig.all_delivered().empty());
  rig.kernel.traced(pid, false);
  rig.find(notice::sigchld);
  CHECK(rig.delivered_once(pid).status.raw() == test::exited_with(5));
}

TEST_CASE("what pidfd_open says of one number concerns that number alone") {
  for (int error : {EINVAL, ENOENT, ESRCH}) {
    core_rig rig(on(uvreap::backend_kind::pidfd), known_by::held_pidfd);
    pid_t odd = rig.kernel.born();
    rig.kernel.has_no_pidfd(odd, error);
    REQUIRE(rig.watch(odd) == 0);
    pid_t other = rig.born_watched();
    CHECK(rig.stats().on_pidfd == 1);
    CHECK(rig.stats().on_peek == 1);
    CHECK(rig.stats().degraded == 0);
    end_and_check(rig, {odd, other});
  }
}

TEST_CASE("a filter that forbids pidfd_open switches the backend off for good") {
  for (int error : {ENOSYS, EPERM, EACCES}) {
    core_rig rig(on(uvreap::backend_kind::pidfd), known_by::held_pidfd);
    rig.kernel.plan({.where = fake_call::pidfd_open, .error = error});
    auto pids = rig.born_watched(3);
    CHECK(rig.stats().on_pidfd == 0);
    CHECK(rig.stats().on_peek == 3);
    CHECK(rig.stats().degraded == uv_translate_sys_error(error));
    end_and_check(rig, pids);
  }
}
