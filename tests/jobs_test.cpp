// The job server's jobs over children that start when the test says so: what waits, what the machine has no
// room for, and what cannot be started.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jobs.hpp"

namespace {

class slow_children final : public children {
 public:
  struct asked {
    std::string program;
    children::started started;
    uvreap::callback ended;
  };
  std::deque<asked> under_way;
  std::vector<std::string> order;  // in which they were asked for
  int error_at_once = 0;           // of every spawn
  std::vector<pid_t> terminated{};
  std::vector<pid_t> killed{};

  void spawn(const children::order& order_of_one, children::started started,
             uvreap::callback ended) override {
    order.push_back(order_of_one.asked.argv[0]);
    if (error_at_once != 0) return started(error_at_once, {});
    under_way.push_back({order.back(), std::move(started), std::move(ended)});
  }
  void fail(int error) {
    auto one = take();
    one.started(error, {});
  }
  // It has ended, too, when the loop has run.
  uvreap::callback start(pid_t pid) {
    auto one = take();
    child made{.pid = pid, .output = ended_pipe(), .error_output = ended_pipe()};
    one.started(0, made);
    return one.ended;
  }

  void terminate(pid_t pid, std::chrono::milliseconds) override { terminated.push_back(pid); }
  void kill_group(pid_t pid) override { killed.push_back(pid); }
  void opened(int) override {}
  void close() override {}
  [[nodiscard]] uvreap::statistics stats() const override { return {}; }

 private:
  asked take() {
    REQUIRE_FALSE(under_way.empty());
    asked one = std::move(under_way.front());
    under_way.pop_front();
    return one;
  }
  static int ended_pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    ::close(ends[1]);
    return ends[0];
  }
};

struct rig {
  explicit rig(int max_jobs) {
    options.max_jobs = max_jobs;
    REQUIRE(uv_loop_init(&loop) == 0);
    REQUIRE(kept.open("", {.jobs = 2000, .bytes = 1 << 24}).empty());
    all = std::make_unique<jobs>(loop, made, kept, options);
    all->on_change = [this](const char* event, const job& job, std::size_t) {
      told.push_back(std::string(event) + " " + job.asked.argv[0]);
      if (job.end == job::ending::canceled) told.back() += " canceled";
      if (job.end == job::ending::not_started) told.back() += " not started";
    };
    all->on_trouble = [](const std::string& what) { FAIL_CHECK(what); };
  }
  ~rig() {
    all->close();
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&loop) == 0);
  }
  rig(const rig&) = delete;
  rig& operator=(const rig&) = delete;

  // Its id; of one that is being started, when that is over.
  std::string ask(const std::string& program) {
    std::string id;
    job_request asked;
    asked.argv = {program};
    all->start(asked, "test", [&id, this](const jobs::outcome& outcome) {
      outcomes.push_back(outcome.what);
      if (outcome.what == jobs::outcome::kind::waits) id = outcome.made->id;
    });
    return id;
  }
  void end(const uvreap::callback& ended) {
    ended({.status = uvreap::wait_status(0)});
    uv_run(&loop, UV_RUN_DEFAULT);
  }
  [[nodiscard]] std::size_t position(const std::string& id) const {
    auto text = all->text(id);
    REQUIRE(text);
    auto position = job::json::parse(*text)["position"];
    return position.is_null() ? 0 : position.get<std::size_t>();
  }

  uv_loop_t loop{};
  settings options{};
  store kept;
  slow_children made;
  std::unique_ptr<jobs> all;
  std::vector<std::string> told;
  std::vector<jobs::outcome::kind> outcomes;
};

using strings = std::vector<std::string>;
using kind = jobs::outcome::kind;

}  // namespace

TEST_CASE("those that the machine has no room for wait again, in their order, and are tried each second") {
  rig rig(2);
  rig.ask("a");
  rig.ask("b");
  auto a = rig.made.start(101);
  auto b = rig.made.start(102);
  strings ids{rig.ask("c"), rig.ask("d"), rig.ask("e")};
  rig.end(a);
  rig.end(b);
  CHECK(rig.made.order == strings{"a", "b", "c", "d"});
  CHECK(rig.all->running() == 2);
  CHECK(rig.position(ids[2]) == 1);
  rig.made.fail(UV_EAGAIN);
  rig.made.fail(UV_ENOMEM);
  CHECK(rig.all->running() == 0);
  CHECK(rig.all->queued() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(rig.position(ids[i]) == i + 1);
  CHECK(rig.made.under_way.empty());

  rig.made.error_at_once = UV_EMFILE;
  rig.all->on_beat();
  CHECK(rig.made.order == strings{"a", "b", "c", "d", "c"});
  CHECK(rig.position(ids[0]) == 1);
  rig.made.error_at_once = 0;
  rig.all->on_beat();
  CHECK(rig.made.order == strings{"a", "b", "c", "d", "c", "c", "d"});
  for (pid_t pid : {103, 104, 105}) rig.end(rig.made.start(pid));
  CHECK(rig.all->is_empty());
  CHECK(rig.all->counted().succeeded == 5);
  CHECK(rig.told.back() == "end e");
}

TEST_CASE("one that is to end, and for which there is no room, is canceled") {
  rig rig(1);
  rig.ask("a");
  auto a = rig.made.start(101);
  auto id = rig.ask("b");
  rig.end(a);
  SUBCASE("by its id") { CHECK(rig.all->terminate(id) == jobs::termination::begun); }
  SUBCASE("with all others") { rig.all->terminate_all(); }
  rig.made.fail(UV_EAGAIN);
  CHECK(rig.told.back() == "end b canceled");
  CHECK(rig.all->is_empty());
  CHECK(rig.all->running() == 0);
  CHECK(rig.all->counted().canceled == 1);
  rig.all->on_beat();
  CHECK(rig.made.order == strings{"a", "b"});
}

TEST_CASE("what waits and is no longer allowed is canceled, and so is what comes back to wait") {
  rig rig(1);
  rig.ask("a");
  auto a = rig.made.start(101);
  rig.ask("b");
  rig.ask("c");
  auto d = rig.ask("d");
  rig.end(a);
  rig.all->why_not = [](const job_request& asked) {
    return std::string(asked.argv[0] == "d" ? "" : asked.argv[0] + " is not allowed to run");
  };
  rig.all->cancel_refused();
  CHECK(rig.told.back() == "end c canceled");
  CHECK(rig.position(d) == 1);
  rig.made.fail(UV_EAGAIN);  // b, which was being started
  CHECK(rig.told.back() == "end b canceled");
  CHECK(rig.position(d) == 1);
  rig.all->on_beat();
  rig.end(rig.made.start(102));
  CHECK(rig.told.back() == "end d");
  CHECK(rig.made.order == strings{"a", "b", "d"});
  CHECK(rig.all->counted().canceled == 2);
  CHECK(rig.all->is_empty());
}

TEST_CASE("what is there only after it was to end is ended, or killed") {
  rig rig(1);
  rig.ask("a");
  rig.all->terminate_all();
  SUBCASE("ended") {
    rig.end(rig.made.start(101));
    CHECK(rig.made.terminated == std::vector<pid_t>{101});
    CHECK(rig.made.killed.empty());
  }
  SUBCASE("killed") {
    rig.all->kill_all();
    CHECK(rig.made.killed.empty());
    rig.end(rig.made.start(101));
    CHECK(rig.made.killed == std::vector<pid_t>{101});
  }
  CHECK(rig.all->is_empty());
}

TEST_CASE("a start that fails gives its place to what waits; one that came first leaves nothing") {
  rig rig(1);
  rig.ask("a");
  auto id = rig.ask("b");
  CHECK(rig.position(id) == 1);
  rig.made.fail(UV_ENOENT);
  CHECK(rig.outcomes == std::vector{kind::waits, kind::not_started});
  CHECK(rig.made.order == strings{"a", "b"});
  CHECK(rig.position(id) == 0);
  rig.end(rig.made.start(101));
  CHECK(rig.told == strings{"queued b", "start b", "end b"});
  CHECK(rig.all->counted().not_started == 1);
  CHECK(rig.kept.kept() == 1);
}

TEST_CASE("any number of those that wait may fail, at once or later") {
  rig rig(1);
  rig.ask("a");
  auto a = rig.made.start(101);
  for (int i = 0; i < 1000; ++i) rig.ask("b");
  bool is_at_once = false;
  SUBCASE("at once") { is_at_once = true; }
  SUBCASE("later") {}
  if (is_at_once) rig.made.error_at_once = UV_ENOENT;
  rig.end(a);
  while (!rig.made.under_way.empty()) rig.made.fail(UV_ENOENT);
  CHECK(rig.all->is_empty());
  CHECK(rig.all->running() == 0);
  CHECK(rig.all->counted().not_started == 1000);
  CHECK(rig.told.back() == "end b not started");
}

TEST_CASE("ids go on after the newest that is kept, though the clock was set back since") {
  uv_loop_t loop{};
  REQUIRE(uv_loop_init(&loop) == 0);
  settings options;
  options.max_jobs = 0;
  store kept;
  REQUIRE(kept.open("", {.jobs = 2000, .bytes = 1 << 24}).empty());
  job of_the_future;
  of_the_future.id = "f1a225f1-d872-7000-8fd7-426d1d5c2d3b";
  of_the_future.asked.argv = {"true"};
  REQUIRE(kept.begin(of_the_future));
  slow_children none;
  jobs all(loop, none, kept, options);
  all.on_change = [](const char*, const job&, std::size_t) {};
  job_request asked;
  asked.argv = {"true"};
  std::string last = of_the_future.id;
  for (int i = 0; i < 3; ++i) {
    all.start(asked, "test", [&last](const jobs::outcome& outcome) {
      REQUIRE(outcome.made != nullptr);
      CHECK(outcome.made->id > last);
      last = outcome.made->id;
    });
  }
  all.close();
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}
