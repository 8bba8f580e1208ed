// Jobs that are asked for while the server runs short of descriptors, before its limit is raised.
#include <doctest/doctest.h>
#include <unistd.h>
#include <uv.h>

#include <string>
#include <utility>
#include <vector>

#include "../apps/shared/last_resort.hpp"
#include "children.hpp"
#include "descriptor_limit.hpp"
#include "support/descriptors_left.hpp"
#include "support/stage.hpp"

namespace {

struct job {
  explicit job(std::vector<std::string> argv) { asked.argv = std::move(argv); }

  void ask(children& all) {
    all.spawn(
        {.asked = asked, .grace = std::chrono::milliseconds(0)},
        [this](int error, const children::child& made) {
          ++told;
          this->error = error;
          for (int descriptor : {made.output, made.error_output}) {
            if (descriptor >= 0) ::close(descriptor);
          }
        },
        [this](const uvreap::child_exit& exit) { exit_code = exit.status.exit_code(); });
  }

  job_request asked;
  int told = 0;
  int error = 1;
  int exit_code = -1;
};

}  // namespace

TEST_CASE(
    "a start that failed for want of a descriptor, and is told after the limit was raised, is asked for "
    "again") {
  test::stage behind;  // its children are made behind those of the server
  test::stage stage;   // for the loop
  last_resort::start(10);
  int error = 0;
  auto all = make_reaped_children(stage.loop, test::options_of_this_run().backend, error);
  REQUIRE(error == 0);
  {
    test::descriptors_left few(2);
    REQUIRE(descriptor_limit::allow(1'000).empty());
    REQUIRE(descriptor_limit::can_raise());
    job first({"true"});
    job second({"sh", "-c", "[ $(ulimit -Sn) -lt 1000 ]"});  // the raised limit is not the jobs'
    first.ask(*all);     // told when both have been refused: then the limit is raised
    all->opened(1'000);  // that one is near
    second.ask(*all);    // asked for between the two
    bool both_were_refused = false;
    auto over = [&](int, pid_t) { both_were_refused = true; };
    uvreap::command third{.argv = {"true"}};
    third.input = third.output = third.error_output = uvreap::stdio::null();
    REQUIRE(behind.reaper.spawn_async(third, over, [](const uvreap::child_exit&) {}) == 0);
    behind.run_until([&] { return both_were_refused; });
    CHECK(first.told + second.told == 0);
    stage.run_until([&] { return first.exit_code != -1 && second.exit_code != -1; });
    for (const job* one : {&first, &second}) {
      CHECK(one->told == 1);
      CHECK(one->error == 0);
      CHECK(one->exit_code == 0);
    }
  }
  all->close();
  stage.run_dry();
  behind.run_dry();
}
