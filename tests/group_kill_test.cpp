// The example group_kill, from outside: grandchildren go with the command, the stubborn one too.
#include <doctest/doctest.h>
#include <signal.h>

#include <cerrno>

#include "support/clean_floor.hpp"
#include "support/demo_program.hpp"
#include "support/line_client.hpp"

namespace {

using example = test::demo_program;  // UVREAP_DEMO names the example

bool has_members(pid_t group) { return ::kill(-group, 0) == 0 || errno != ESRCH; }

}  // namespace

TEST_CASE("the whole group goes, and what ignores SIGTERM by SIGKILL") {
  test::clean_floor floor;
  example group_kill({});
  CHECK(group_kill.end() == 0);
  CHECK_FALSE(has_members(test::number_after("ending group ", group_kill)));
  CHECK(group_kill.count("the command: killed by signal 15 (SIGTERM)\n") == 1);
  CHECK(group_kill.count("left by it: killed by signal 15 (SIGTERM)\n") == 1);
  CHECK(group_kill.count("left by it: killed by signal 9 (SIGKILL)\n") == 1);
  CHECK(group_kill.count("none is left\n") == 1);
}
