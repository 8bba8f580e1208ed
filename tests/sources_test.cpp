// Where a sweep's work comes from, and that no source of it waits for the others to run dry.
#include <doctest/doctest.h>
#include <signal.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <vector>

#include "support/core_rig.hpp"

using std::chrono::hours;
using std::chrono::milliseconds;
using test::core_rig;
using test::fake_call;
using test::known_by;
using test::owner;
using test::with_budget;
using uvreap::notice;

namespace {

enum class source { hints, named, round, changes, any, due, ending, posted };
constexpr int sources = 8;
constexpr int many = 200;  // more than any of them is served here

uvreap::options of_all_sources(int budget, uvreap::callback on_unclaimed) {
  auto options = with_budget(budget);
  options.backend = uvreap::backend_kind::pidfd;
  options.children = uvreap::scope::any();
  options.unclaimed_grace = milliseconds(0);
  options.on_unclaimed = std::move(on_unclaimed);
  return options;
}

// A reaper to which seven sources always give more work than it can do, and one gives something for once.
class besieged {
 public:
  besieged(int budget, source quiet)
      : budget_(budget),
        quiet_(quiet),
        rig(of_all_sources(budget, [this](const auto& exit) { unclaimed.push_back(exit.pid); }),
            known_by::held_pidfd) {
    orphans_ = born(quiet == source::any ? 1 : many, owner::foreign);  // first, or others would hide them
    prepare(source::round, [this] { unnamed(many); });
    prepare(source::changes, [this] { watch_changes(many / 2); });
    prepare(source::due, [this] { watch_until(many); });
    prepare(source::ending, [this] { terminate(many); });
    prepare(source::posted, [this] { post(born(many)); });
    prepare(source::hints, [this] { wait_says_eintr_for_ever(); });
    if (quiet == source::round) unnamed(2);
    if (quiet == source::changes) watch_changes(1);
  }

  void sweep() {
    rig.kernel.time_passes(milliseconds(50));
    if (quiet_ != source::any && !orphans_.empty()) end_an_orphan();
    if (quiet_ != source::named) end_some_at_once();
    if (quiet_ != source::changes) rig.wake(notice::sigchld);
    if (quiet_ != source::round) rig.wake(notice::poller);
    REQUIRE(rig.sweep());
    ++sweeps;
  }

  // Sweeps from its happening to its being served.
  int until_served() {
    std::function<bool()> is_served = happens();
    int before = sweeps;
    while (!is_served()) {
      sweep();
      REQUIRE(sweeps < before + 1'000);
    }
    return sweeps - before;
  }

  int sweeps = 0;
  std::vector<pid_t> unclaimed;

 private:
  int budget_;
  source quiet_;
  std::vector<pid_t> orphans_;
  std::vector<pid_t> unnamed_;
  std::vector<pid_t> changing_;

 public:
  core_rig rig;

 private:
  void prepare(source one, const std::function<void()>& work) {
    if (one != quiet_) work();
  }
  std::vector<pid_t> born(int count, owner whose = owner::ours) {
    std::vector<pid_t> pids;
    for (int i = 0; i < count; ++i) pids.push_back(rig.kernel.born(whose));
    return pids;
  }
  void unnamed(int count) {
    for (pid_t pid : born(count)) {
      rig.kernel.has_no_pidfd(pid, ENOENT);  // of the number, so the backend is none the worse
      REQUIRE(rig.watch(pid) == 0);
      unnamed_.push_back(pid);
    }
  }
  void watch_changes(int count) {
    for (pid_t pid : born(count)) {
      REQUIRE(rig.watch_changes(pid) == 0);
      changing_.push_back(pid);
    }
  }
  std::vector<pid_t> watch_until(int count) {
    auto pids = born(count);
    for (pid_t pid : pids) {
      uvreap::watch_options wanted;
      wanted.timeout = milliseconds(1);
      wanted.grace = hours(1);
      REQUIRE(rig.watch_as(pid, wanted, [](const auto&) {}) == 0);
    }
    return pids;
  }
  std::vector<pid_t> terminate(int count) {
    auto pids = rig.born_watched(count);
    for (pid_t pid : pids) REQUIRE(rig.core->terminate(pid, milliseconds(0)) == 0);
    return pids;
  }
  // The loop turns once for it, and sweeps.
  void post(const std::vector<pid_t>& pids) {
    for (pid_t pid : pids) rig.post_watch(pid);
    uv_run(&rig.loop, UV_RUN_NOWAIT);
    ++sweeps;
  }
  void wait_says_eintr_for_ever() {
    pid_t pid = rig.kernel.born();
    rig.kernel.plan({.where = fake_call::wait4, .error = EINTR, .pid = pid, .times = test::for_ever});
    rig.kernel.ends(pid, 0);
    REQUIRE(rig.watch(pid) == 0);
  }
  void end_an_orphan() {
    rig.kernel.ends(orphans_.back(), 0);
    orphans_.pop_back();
  }
  void end_some_at_once() {
    rig.end_all(rig.born_watched(std::min(budget_, 8)));
    rig.wake(notice::backend);
  }
  std::function<bool()> has_signal(pid_t pid, int signum) {
    return [this, pid, signum] {
      auto sent = rig.kernel.signals_of(pid);
      return std::find(sent.begin(), sent.end(), signum) != sent.end();
    };
  }

  std::function<bool()> happens() {
    switch (quiet_) {
      case source::hints: {
        pid_t pid = rig.born_watched();
        rig.kernel.ends(pid, 0);
        REQUIRE(rig.kernel.stolen(pid));
        REQUIRE(rig.core->kill(pid, 0) == UV_ESRCH);
        return [this, pid] { return !rig.delivered(pid).empty(); };
      }
      case source::named: {
        pid_t pid = rig.born_watched();
        rig.kernel.ends(pid, 0);
        rig.wake(notice::backend);
        return [this, pid] { return !rig.delivered(pid).empty(); };
      }
      case source::round:
        rig.end_all({unnamed_[0], unnamed_[1]});
        rig.wake(notice::poller);
        return [this] { return !rig.delivered(unnamed_[1]).empty(); };
      case source::changes:
        rig.kernel.stops(changing_[0], SIGSTOP);
        rig.wake(notice::sigchld);
        return [this] { return !rig.changes().empty(); };
      case source::any:
        end_an_orphan();
        rig.wake(notice::sigchld);
        return [this] { return !unclaimed.empty(); };
      case source::due: {
        pid_t pid = watch_until(1)[0];
        rig.kernel.time_passes(milliseconds(10));
        return has_signal(pid, SIGTERM);
      }
      case source::ending:
        return has_signal(terminate(1)[0], SIGKILL);
      case source::posted: {
        constexpr pid_t nobody = 4'100'000;
        post({nobody});
        return [this] { return !rig.delivered(nobody).empty(); };
      }
    }
    return {};
  }
};

}  // namespace

TEST_CASE("none of the eight sources waits for the seven others to run dry") {
  // A turn of each source, of eight units each; at budget 1 each unit may have a delivery before it. Of a
  // walk over the loop's handles, which is a whole budget, there may be one between.
  struct {
    int budget;
    int longest_wait;
  } const bounds[] = {{64, 6}, {1, 2 * 8 * sources + 16}};
  for (const auto& each : bounds) {
    int budget = each.budget;
    for (int quiet = 0; quiet < sources; ++quiet) {
      for (int warm_up : {0, 1, 5, 13}) {
        CAPTURE(budget);
        CAPTURE(quiet);
        CAPTURE(warm_up);
        besieged reaper(budget, static_cast<source>(quiet));
        for (int i = 0; i < warm_up; ++i) reaper.sweep();
        CHECK(reaper.until_served() <= each.longest_wait);
      }
    }
  }
}

TEST_CASE("elders do not wait for six thousand children that had ended before they were watched") {
  core_rig rig(with_budget(64));
  pid_t elder = rig.born_watched();
  for (int i = 0; i < 6'000; ++i) {
    pid_t pid = rig.kernel.born();
    rig.kernel.ends(pid, 0);
    REQUIRE(rig.watch(pid) == 0);
  }
  rig.kernel.ends(elder, 0);
  SUBCASE("by SIGCHLD") { rig.wake(notice::sigchld); }
  SUBCASE("by the poller") { rig.wake(notice::poller); }
  int sweeps = 0;
  for (; rig.delivered(elder).empty() && sweeps < 1'000; ++sweeps) (void)rig.sweep();
  CHECK(sweeps <= 6);
  rig.settle();
  CHECK(rig.all_delivered().size() == 6'001);
}

TEST_CASE("of a thousand deadlines that are due at once a sweep does as many as its budget") {
  for (int budget : {64, 7, 1}) {
    CAPTURE(budget);
    core_rig rig(with_budget(budget));
    for (int i = 0; i < 1'000; ++i) REQUIRE(rig.watch_until(milliseconds(10), rig.kernel.born()) == 0);
    CHECK_FALSE(rig.sweep());
    rig.kernel.time_passes(milliseconds(20));
    std::size_t sent = 0;
    int sweeps = 0;
    for (bool is_work_left = true; is_work_left; ++sweeps) {
      is_work_left = rig.sweep();
      REQUIRE(rig.kernel.signals().size() - sent <=
              2 * static_cast<std::size_t>(budget));  // SIGTERM and SIGCONT
      sent = rig.kernel.signals().size();
      REQUIRE(sweeps < 1'100);
    }
    CHECK(sent == 2'000);
    CHECK(sweeps <= 1'000 / budget + 2);
  }
}

TEST_CASE("of a thousand SIGKILLs that are due at once a sweep sends as many as its budget") {
  core_rig rig(with_budget(64));
  for (pid_t pid : rig.born_watched(1'000)) REQUIRE(rig.core->terminate(pid, milliseconds(10)) == 0);
  rig.kernel.time_passes(milliseconds(20));
  std::size_t sent = rig.kernel.signals().size();
  for (bool is_work_left = true; is_work_left;) {
    is_work_left = rig.sweep();
    REQUIRE(rig.kernel.signals().size() - sent <= 64);
    sent = rig.kernel.signals().size();
  }
  CHECK(sent == 3'000);
}

TEST_CASE("of a thousand posted watches a sweep takes as many as its budget") {
  core_rig rig(with_budget(64));
  std::vector<pid_t> pids = rig.born_watched(1);  // which holds the loop, as a hand-over does not
  for (int i = 0; i < 1'000; ++i) rig.post_watch(pids.emplace_back(rig.kernel.born()));
  for (std::uint64_t before = 1; before < 1'001;) {
    uv_run(&rig.loop, UV_RUN_NOWAIT);
    auto now = rig.stats().watched;
    REQUIRE(now - before <= 64);
    before = now;
  }
  rig.end_all(pids);
  rig.find(notice::sigchld);
  CHECK(rig.all_delivered().size() == 1'001);
}
