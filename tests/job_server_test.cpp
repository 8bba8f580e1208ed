// The example job_server, from outside: jobs are answered, ended with their clients, and finished when it
// drains.
#include <doctest/doctest.h>
#include <signal.h>

#include <cerrno>
#include <optional>
#include <string>

#include "support/clean_floor.hpp"
#include "support/demo_program.hpp"
#include "support/line_client.hpp"

namespace {

using example = test::demo_program;  // UVREAP_DEMO names the example

std::string answer_to(const std::string& line, int port) {
  test::line_client client(port);
  client.say(line + "\n");
  return client.rest();
}

int port_of(example& server) {
  REQUIRE(server.read_until("\n"));
  return test::number_after("port ", server);
}

bool is_there(pid_t pid) { return ::kill(pid, 0) == 0 || errno != ESRCH; }

}  // namespace

TEST_CASE("a job's output comes whole, and at last how it ended") {
  test::clean_floor floor;
  example server({});
  int port = port_of(server);
  std::string counted = answer_to("count", port);
  std::string expected;
  for (int i = 1; i <= 100'000; ++i) expected += std::to_string(i) + '\n';
  REQUIRE(counted.starts_with(expected));
  CHECK(counted.substr(expected.size()).starts_with("exited with 0, wall "));
  CHECK(counted.find(" ms, CPU ") != std::string::npos);
  CHECK(answer_to("fail", port).starts_with("exited with 1, wall "));
  server.send(SIGTERM);
  CHECK(server.end() == 0);
}

TEST_CASE("what is not in the table is not run, and what is no line is not read for ever") {
  test::clean_floor floor;
  example server({});
  int port = port_of(server);
  for (const char* line : {"", "date; date", "/bin/date", "date "}) {
    CHECK(answer_to(line, port) == "no such job\n");
  }
  test::line_client client(port);
  client.say(std::string(120, 'x'));
  CHECK(client.rest().empty());
  server.send(SIGTERM);
  CHECK(server.end() == 0);
  CHECK(server.count("job ") == 0);
}

TEST_CASE("a client that goes away ends its job, and nobody else's") {
  test::clean_floor floor;
  example server({});
  int port = port_of(server);
  std::optional<test::line_client> goes(std::in_place, port);
  goes->say("sleep\n");
  REQUIRE(server.read_until(": sleep\n"));
  int job = test::number_after("job ", server);
  test::line_client stays(port);
  stays.say("sleep\n");
  REQUIRE(server.read_until(": sleep\n", 2));
  int other = test::number_after("job ", server);

  goes.reset();
  REQUIRE(server.read_until("job " + std::to_string(job) + " killed by signal 15 (SIGTERM)"));
  CHECK_FALSE(is_there(job));
  CHECK(is_there(other));
  server.send(SIGTERM);
  REQUIRE(server.read_until("draining\n"));
  server.send(SIGTERM);
  CHECK(server.end() == 0);
  CHECK_FALSE(is_there(other));
}

TEST_CASE("SIGTERM drains: the job that runs is finished and answered, and nobody else gets in") {
  test::clean_floor floor;
  example server({});
  int port = port_of(server);
  test::line_client idle(port);
  test::line_client client(port);
  client.say("nap\n");
  REQUIRE(server.read_until(": nap\n"));
  server.send(SIGTERM);
  REQUIRE(server.read_until("draining\n"));
  CHECK(idle.rest().empty());
  CHECK_FALSE(test::line_client(port).connected);
  CHECK(client.rest().starts_with("exited with 0, wall "));
  CHECK(server.end() == 0);
}
