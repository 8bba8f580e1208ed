// The example prefork, from outside: its workers serve, are replaced, and go with the master.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "support/clean_floor.hpp"
#include "support/demo_program.hpp"
#include "support/line_client.hpp"

namespace {

using example = test::demo_program;  // UVREAP_DEMO names the example

// The pid of the worker that serves.
int served_by(int port) {
  test::line_client client(port);
  REQUIRE(client.connected);
  return std::stoi(client.line());
}

void tell_to_quit(int port) {
  test::line_client client(port);
  client.say("quit\n");
  CHECK(std::stoi(client.line()) > 0);
  CHECK(client.line().empty());  // it is gone
}

}  // namespace

TEST_CASE("a worker that is told to quit is replaced by another, which goes on serving on the same socket") {
  test::clean_floor floor;
  example prefork({"1"});
  REQUIRE(prefork.read_until(" began\n"));
  int port = test::number_after("port ", prefork);
  int first = test::number_after("worker ", prefork);
  CHECK(served_by(port) == first);
  tell_to_quit(port);
  int second = served_by(port);  // waits in the backlog until there is somebody
  CHECK(second != first);
  REQUIRE(prefork.read_until(" began\n", 2));
  CHECK(test::number_after("worker ", prefork) == second);
  CHECK(prefork.count("worker " + std::to_string(first) + " exited with 3, the next in 100 ms\n") == 1);
  CHECK(served_by(port) == second);
  CHECK(prefork.processes() == 2);
  prefork.send(SIGTERM);
  CHECK(prefork.end() == 0);
  CHECK(prefork.processes() == 0);
}

TEST_CASE("a worker that a signal killed is replaced too") {
  test::clean_floor floor;
  example prefork({"1"});
  REQUIRE(prefork.read_until(" began\n"));
  int port = test::number_after("port ", prefork);
  int first = test::number_after("worker ", prefork);
  REQUIRE(::kill(first, SIGKILL) == 0);
  REQUIRE(prefork.read_until(" began\n", 2));
  CHECK(prefork.count("killed by signal 9 (SIGKILL), the next in 100 ms\n") == 1);
  CHECK(served_by(port) == test::number_after("worker ", prefork));
}

TEST_CASE("workers that end young are replaced later and later") {
  test::clean_floor floor;
  example prefork({"1"});
  REQUIRE(prefork.read_until(" began\n"));
  int port = test::number_after("port ", prefork);
  for (int delay : {100, 200, 400}) {
    tell_to_quit(port);
    REQUIRE(prefork.read_until("the next in " + std::to_string(delay) + " ms\n"));
  }
  prefork.send(SIGTERM);  // while nobody works
  CHECK(prefork.end() == 0);
  CHECK(prefork.processes() == 0);
}

TEST_CASE("SIGTERM ends every worker and leaves nothing behind, in the midst of connections too") {
  test::clean_floor floor;
  example prefork({"5"});
  REQUIRE(prefork.read_until(" began\n", 5));
  int port = test::number_after("port ", prefork);
  CHECK(prefork.processes() == 6);
  test::line_client client(port);
  CHECK(std::stoi(client.line()) > 0);
  prefork.send(SIGTERM);
  CHECK(prefork.end() == 0);
  CHECK(prefork.processes() == 0);
  CHECK(client.line().empty());
  CHECK_FALSE(test::line_client(port).connected);
  CHECK(prefork.count(" began\n") == 5);
}

TEST_CASE("SIGTERM to a worker is that worker's alone") {
  test::clean_floor floor;
  example prefork({"2"});
  REQUIRE(prefork.read_until(" began\n", 2));
  REQUIRE(::kill(test::number_after("worker ", prefork), SIGTERM) == 0);
  REQUIRE(prefork.read_until(" began\n", 3));  // the master lives, and has replaced it
  CHECK(prefork.count("killed by signal 15 (SIGTERM), the next in 100 ms\n") == 1);
  CHECK(prefork.processes() == 3);
}

TEST_CASE("a bad number of workers is refused") {
  for (const char* workers : {"0", "101", "many"}) CHECK(example({workers}).end() == 2);
}
