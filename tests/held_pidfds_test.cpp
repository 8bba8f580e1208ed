// How many pidfds a process holds, and what becomes of children for which none is left.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <uv.h>

#include <cerrno>

#include "backends/backend.hpp"
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

// Of the ring and a private set of pidfds, which is what automatic is where both work.
TEST_CASE("automatic has the youngest 64 children in its set, and the others on the ring, without a pidfd") {
  core_rig rig(on(uvreap::backend_kind::automatic), known_by::held_pidfd);
  if (rig.stats().backend != uvreap::backend_kind::ring) return;  // no io_uring here
  auto oldest = rig.born_watched(36);
  CHECK(rig.stats().on_pidfd == 36);
  auto others = rig.born_watched(64);
  auto now = rig.stats();
  CHECK(now.on_pidfd == 64);
  CHECK(now.on_ring == 36);
  CHECK(now.on_backend == 100);
  CHECK(now.held_pidfds == 64);
  CHECK(now.degraded == 0);
  CHECK(now.by_number == 0);

  rig.end_all(others);
  rig.wake(notice::backend);
  rig.settle();
  CHECK(rig.stats().on_pidfd == 0);
  CHECK(rig.stats().on_ring == 36);  // those that were moved
  rig.end_all(oldest);
  rig.wake(notice::sigchld);  // an eventfd, as which these end, signals that of the ring only later
  rig.settle();
  for (const auto& all : {oldest, others}) {
    for (pid_t pid : all) {
      auto exit = rig.delivered_once(pid);
      CHECK(exit.status.raw() == test::word_of(pid));
      CHECK(exit.noticed_by == notice::backend);
    }
  }
  CHECK(claims::of_this_process()->held() == 0);
}

TEST_CASE("a child that ended is named by the set or by the ring, wherever it was moved meanwhile") {
  core_rig rig(on(uvreap::backend_kind::automatic), known_by::held_pidfd);
  auto first = rig.born_watched(64);
  rig.end_all({first[0], first[63]});
  rig.wake(notice::backend);
  auto later = rig.born_watched(32);  // half of the first are moved, an ended one among them
  auto ended = rig.born_watched(1);
  rig.end_all(ended);
  rig.settle();
  for (pid_t pid : {first[0], first[63], ended[0]})
    CHECK(rig.delivered_once(pid).noticed_by == notice::backend);
  CHECK(rig.stats().on_backend == 62 + 32);
  first.erase(first.begin());
  first.pop_back();
  first.insert(first.end(), later.begin(), later.end());
  end_and_check(rig, first);
}

TEST_CASE("a released child is out of the set, or its request is withdrawn from the ring") {
  core_rig rig(on(uvreap::backend_kind::automatic), known_by::held_pidfd);
  auto pids = rig.born_watched(80);
  for (pid_t pid : {pids.front(), pids.back()}) {
    REQUIRE(rig.release(pid) == 0);
    rig.kernel.ends(pid, test::exited_with(1));
  }
  rig.wake(notice::backend);
  rig.settle();
  CHECK(rig.all_delivered().empty());
  CHECK(rig.stats().on_backend == 78);
  pids.erase(pids.begin());
  pids.pop_back();
  end_and_check(rig, pids);
}

TEST_CASE("where another reaper holds them all, the children of automatic are on the ring") {
  core_rig rig(on(uvreap::backend_kind::automatic), known_by::held_pidfd);
  if (rig.stats().backend != uvreap::backend_kind::ring) return;  // no io_uring here
  core_rig another(rig.kernel, on(uvreap::backend_kind::automatic));
  auto pids = rig.born_watched(64);
  auto others = another.born_watched(10);
  CHECK(another.stats().on_ring == 10);
  CHECK(rig.stats().on_pidfd == 64);  // nothing of it is moved
  CHECK(another.stats().degraded == 0);
  rig.end_all(pids);
  rig.wake(notice::backend);
  rig.settle();
  end_and_check(another, others);
}

namespace {

// Takes no child, or all; nothing is ever named.
class refusing : public uvreap::backend {
 public:
  explicit refusing(const uvreap::children& living) : backend(living, uvreap::slot::ring) {}
  int arm(uvreap::child& one) noexcept override { return one.armed_as = 7'000, UV_ENOMEM; }
  void disarm(uvreap::child&) noexcept override {}
  bool take(uvreap::look_queue&, std::size_t) noexcept override { return false; }
  [[nodiscard]] int polled() const noexcept override { return polled_.get(); }
  void leave_polled_open() noexcept override {}
  void describe(uvreap::statistics&) const noexcept override {}

 private:
  uvreap::descriptor polled_{::eventfd(0, EFD_CLOEXEC)};
};

}  // namespace

namespace {

// Real children on a backend alone.
class nursery {
 public:
  explicit nursery(int count) : gates_(static_cast<std::size_t>(count)) {}
  ~nursery() {
    for (std::size_t at = 0; at < watched_.size(); ++at) {
      gates_[at].open();
      watched_[at]->id.let_go(all_);
      CHECK(::waitpid(watched_[at]->pid(), nullptr, 0) == watched_[at]->pid());
    }
    CHECK(all_.held() == 0);
  }
  nursery(const nursery&) = delete;
  nursery& operator=(const nursery&) = delete;

  [[nodiscard]] int arm_next(uvreap::backend& set) {
    test::gate& gate = gates_[watched_.size()];
    auto one = std::make_unique<uvreap::child>(uvreap::watch_options{}, [](const auto&) {});
    one->id = uvreap::identity(test::make_child([&] { return gate.wait(), 0; }));
    REQUIRE(one->id.open() == 0);
    watched_.push_back(&living.add(std::move(one)));
    return set.arm(*watched_.back());
  }
  void end(std::size_t at) {
    gates_[at].open();
    test::wait_until_ended(watched_[at]->pid());
  }
  [[nodiscard]] uvreap::child& at(std::size_t which) { return *watched_[which]; }
  [[nodiscard]] claims& all() { return all_; }

  uvreap::children living;

 private:
  claims& all_ = *claims::of_this_process();
  std::vector<test::gate> gates_;
  std::vector<uvreap::child*> watched_;
};

}  // namespace

TEST_CASE("a child that cannot be moved stays in the set, which goes on naming it") {
  nursery born(65);
  std::unique_ptr<uvreap::backend> set = std::make_unique<refusing>(born.living);
  REQUIRE(uvreap::make_pidfd(born.living, born.all(), set) == 0);
  for (int at = 0; at < 65; ++at) CHECK(born.arm_next(*set) == (at < 64 ? 0 : UV_ENOMEM));
  uvreap::look_queue named;
  for (std::size_t at = 0; at < 64; ++at) {
    CAPTURE(at);
    born.end(at);
    set->is_woken = true;
    (void)set->take(named, 8);
    CHECK(named.pop_front() == &born.at(at));
    CHECK(named.empty());
    set->disarm(born.at(at));
  }
}

TEST_CASE("the set that is polled wakes for each child of the ring behind it") {
  nursery born(80);
  std::unique_ptr<uvreap::backend> set;
  if (uvreap::make_ring(born.living, set) != 0) return;  // no io_uring here
  REQUIRE(uvreap::make_pidfd(born.living, born.all(), set) == 0);
  for (int at = 0; at < 80; ++at) CHECK(born.arm_next(*set) == 0);
  for (std::size_t at : {15U, 16U, 0U, 79U, 7U}) {
    CAPTURE(at);
    CHECK(born.at(at).on == (at < 16 ? uvreap::slot::ring : uvreap::slot::pidfd));
    ::pollfd polled{.fd = set->polled(), .events = POLLIN, .revents = 0};
    CHECK(::poll(&polled, 1, 0) == 0);  // nothing is left over
    born.end(at);
    REQUIRE(::poll(&polled, 1, 60'000) == 1);
    set->is_woken = true;
    uvreap::look_queue named;
    (void)set->take(named, 8);
    CHECK(named.pop_front() == &born.at(at));
    CHECK(named.empty());
    set->disarm(born.at(at));
  }
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

TEST_CASE("without a backend, too, a child that found no descriptor is known by its birth after a tick") {
  core_rig rig(on(uvreap::backend_kind::peek), known_by::held_pidfd);
  rig.kernel.has_start_times = false;
  auto before = rig.born_watched(3);
  rig.kernel.plan({.where = fake_call::pidfd_open, .error = EMFILE, .times = 3});
  auto poor = rig.born_watched(2);
  CHECK(rig.stats().by_number == 2);
  rig.find(notice::poller);
  CHECK(rig.stats().by_number == 2);  // there is none yet
  rig.find(notice::poller);
  CHECK(rig.stats().by_number == 0);
  CHECK(rig.stats().held_pidfds == 5);
  before.insert(before.end(), poor.begin(), poor.end());
  end_and_check(rig, before);
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

TEST_CASE(
    "a filter that forbids pidfd_send_signal alone leaves kill, terminations and deadlines, by number") {
  for (int error : {ENOSYS, EPERM}) {
    CAPTURE(error);
    core_rig rig(on(uvreap::backend_kind::pidfd), known_by::held_pidfd);
    rig.kernel.plan({.where = fake_call::pidfd_send_signal, .error = error, .times = test::for_ever});
    rig.kernel.plan({.where = fake_call::pidfd_signal_group, .error = error, .times = test::for_ever});
    pid_t killed = rig.born_watched();
    pid_t ended = rig.born_watched();
    pid_t leader = rig.kernel.born();
    rig.kernel.leads_group(leader);
    REQUIRE(rig.watch(leader) == 0);
    CHECK(rig.core->kill(killed, SIGTERM) == 0);
    CHECK(rig.kernel.signals_of(killed) == std::vector<int>{SIGTERM});
    CHECK(rig.core->terminate(ended, std::chrono::milliseconds(50)) == 0);
    CHECK(rig.kernel.signals_of(ended) == std::vector<int>{SIGTERM, SIGCONT});
    CHECK(rig.core->terminate(leader, std::chrono::milliseconds(50)) == 0);
    CHECK(rig.kernel.signals_of(leader) == std::vector<int>{SIGTERM, SIGCONT});
    rig.kernel.time_passes(std::chrono::milliseconds(60));
    rig.settle();
    CHECK(rig.kernel.signals_of(ended) == std::vector<int>{SIGTERM, SIGCONT, SIGKILL});
    CHECK(rig.kernel.signals_of(leader).back() == SIGKILL);
    end_and_check(rig, {killed, ended, leader});
  }
}
