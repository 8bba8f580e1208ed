// The example pid1 as PID 1: it ends as its main child does, hands SIGTERM on, and leaves no zombie.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/stage.hpp"

namespace {

std::string program() {
  const char* path = std::getenv("UVREAP_TEST_PID1");
  REQUIRE(path != nullptr);
  return path;
}

struct outcome {
  int word = -1;
  std::string output;  // of both streams
};

outcome run(const std::string& script) {
  std::string command = "unshare -pf --mount-proc --kill-child " + program() + " sh -c '" + script + "' 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  outcome result;
  std::array<char, 256> line{};
  while (std::fgets(line.data(), line.size(), pipe) != nullptr) result.output += line.data();
  result.word = ::pclose(pipe);
  return result;
}

bool refused() {
  outcome probe = run("exit 0");
  if (probe.word == 0) return false;
  MESSAGE("SKIP: no PID 1 to be had: ", probe.output);
  return true;
}

}  // namespace

TEST_CASE("it exits as its main child exits, and with 128 and the signal that killed it") {
  if (refused()) return;
  CHECK(run("exit 0").word == test::exited_with(0));
  CHECK(run("exit 42").word == test::exited_with(42));
  CHECK(run("kill -KILL $$").word == test::exited_with(128 + SIGKILL));
}

TEST_CASE("it tells of orphans, and none of them is left a zombie") {
  if (refused()) return;
  // Three orphans, and a parent that lives until all that it would have to see has been: no zombie by the
  // end.
  outcome seen =
      run("for i in 1 2 3; do (sh -c \"sleep 0.$i; exit $i\" &); done; sleep 1.5; "
          "grep -l \"State:.*zombie\" /proc/[0-9]*/status | wc -l; exit 5");
  CHECK(seen.word == test::exited_with(5));
  CHECK(seen.output.find("exited with 1") != std::string::npos);
  CHECK(seen.output.find("exited with 2") != std::string::npos);
  CHECK(seen.output.find("exited with 3") != std::string::npos);
  CHECK_MESSAGE(seen.output.find("\n0\n") != std::string::npos, seen.output);
}

TEST_CASE("SIGTERM reaches the main child, which may end as it likes") {
  if (refused()) return;
  CHECK(run("trap \"exit 9\" TERM; kill -TERM 1; while :; do sleep 0.05; done").word == test::exited_with(9));
  CHECK(run("kill -TERM 1; while :; do sleep 0.05; done").word == test::exited_with(128 + SIGTERM));
}
