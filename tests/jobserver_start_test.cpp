// uvreap-jobserver while a job is being started, which is off its loop: it serves on, and whatever happens
// meanwhile is made good.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/commands.hpp"
#include "support/job_server.hpp"
#include "support/leased_file.hpp"

namespace {

using nlohmann::json;
using test::job_server;

// A program whose exec waits until let_go().
struct slow_program {
  explicit slow_program(const std::string& text = "#!/bin/sh\nexec sleep 600\n")
      : path(scratch.make("slow", text, 0755)), file(path) {}

  [[nodiscard]] std::string order() const { return json{{"argv", {path}}}.dump(); }

  test::scratch_directory scratch;
  std::string path;
  test::leased_file file;
};

// A POST of it that is not answered yet.
struct slow_start {
  slow_start(job_server& server, slow_program& program) : client(server.port) {
    client.say(server.order(program.order()));
    program.file.wait_until_it_is_opened();
  }
  [[nodiscard]] test::http_reply reply() { return test::reply_of(client); }

  test::line_client client;
};

json only_job(job_server& server) {
  auto all = server.ask("GET", "/v1/jobs").json()["jobs"];
  REQUIRE(all.size() == 1);
  return all[0];
}

bool is_soon(const std::function<bool()>& condition) {
  for (int tries = 0; tries < 2000 && !condition(); ++tries) ::usleep(10'000);
  return condition();
}

}  // namespace

TEST_CASE("while a job is being started others are served, and it is running, without a pid") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  slow_program program("#!/bin/sh\nexit 3\n");
  slow_start start(server, program);
  CHECK(server.ask("GET", "/healthz").status == 200);
  auto job = only_job(server);
  CHECK(job["state"] == "running");
  CHECK(job["pid"].is_null());
  std::string path = "/v1/jobs/" + job["id"].get<std::string>();
  CHECK(server.ask("GET", path + "/stdout").body.empty());
  CHECK(server.metric("jobserver_jobs_running") == 1);
  CHECK(server.metric("jobserver_jobs_started_total") == 0);
  program.file.let_go();
  auto reply = start.reply();
  CHECK(reply.status == 201);
  CHECK(reply.id() == job["id"]);
  CHECK(reply.json()["pid"] > 0);
  CHECK(server.ended(reply)["exit_code"] == 3);
  CHECK(server.metric("jobserver_jobs_started_total") == 1);
  CHECK(server.stop() == 0);
}

TEST_CASE("jobs are started in the order in which they came") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  slow_program program("#!/bin/sh\nexit\n");
  slow_start start(server, program);
  std::vector<std::unique_ptr<test::line_client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<test::line_client>(server.port));
    clients.back()->say(server.order(R"({"argv": ["true"]})"));
    CHECK(is_soon([&] { return server.metric("jobserver_jobs_running") == i + 2; }));
  }
  test::event_stream events(server);
  program.file.let_go();
  std::vector<std::string> ids;  // the later the greater
  while (ids.size() < 21) {
    auto event = events.next();
    REQUIRE(!event.name.empty());
    if (event.name == "start") ids.push_back(event.data["id"]);
  }
  CHECK(std::ranges::is_sorted(ids));
  CHECK(server.stop() == 0);
}

TEST_CASE("DELETE of a job that is being started ends it when it is there") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  slow_program program;
  slow_start start(server, program);
  std::string path = "/v1/jobs/" + only_job(server)["id"].get<std::string>();
  auto deleted = server.ask("DELETE", path);
  CHECK(deleted.status == 202);
  CHECK(deleted.json()["state"] == "running");
  CHECK(deleted.json()["terminated"] == true);
  program.file.let_go();
  auto reply = start.reply();
  CHECK(reply.status == 201);
  CHECK(reply.json()["terminated"] == true);
  CHECK(server.ended(reply)["signal"] == SIGTERM);
  CHECK(server.ask("DELETE", path).status == 409);
  CHECK(server.stop() == 0);
}

TEST_CASE("a start that fails late says why, leaves nothing, and its place is the next one's") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "1"});
  slow_program program("#!/no/such/interpreter\n");
  slow_start start(server, program);
  std::string path = "/v1/jobs/" + only_job(server)["id"].get<std::string>();
  test::line_client follower(server.port);
  follower.say(server.head("GET", path + "/stdout?follow") + "Connection: close\r\n\r\n");
  CHECK(follower.line().starts_with("HTTP/1.1 200"));
  auto waits = server.run({"true"});
  CHECK(waits.status == 202);
  server.ask("DELETE", path);
  program.file.let_go();
  auto reply = start.reply();
  CHECK(reply.status == 422);
  CHECK(reply.detail() ==
        "cannot start " + program.path + ": its interpreter /no/such/interpreter: no such file or directory");
  CHECK(server.ask("GET", path).status == 404);
  CHECK(server.ended(waits)["exit_code"] == 0);
  follower.rest();
  CHECK(follower.has_ended());
  CHECK(server.metric("jobserver_jobs_not_started_total") == 1);
  CHECK(server.metric("jobserver_jobs_running") == 0);
  CHECK(server.ask("GET", "/v1/jobs").json()["jobs"].size() == 1);
  CHECK(server.stop() == 0);
  CHECK(server.program.errors.find(": 422 cannot start " + program.path) != std::string::npos);
}

TEST_CASE("one that waited and cannot be started is told so, and the next has its turn") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "1"});
  slow_program program("#!/no/such/interpreter\n");
  auto runs = server.run({"sleep", "600"});
  auto fails = server.post(program.order());
  auto next = server.run({"true"});
  CHECK(next.json()["position"] == 2);
  server.ask("DELETE", "/v1/jobs/" + runs.id());
  program.file.wait_until_it_is_opened();
  CHECK(server.ask("GET", "/v1/jobs/" + fails.id()).json()["state"] == "running");
  CHECK(server.ask("GET", "/v1/jobs/" + next.id()).json()["position"] == 1);
  program.file.let_go();
  CHECK(server.ended(fails)["end"] == "not_started");
  CHECK(server.ended(next)["exit_code"] == 0);
  CHECK(server.stop() == 0);
  CHECK(server.program.errors.find(fails.id()) != std::string::npos);
}

TEST_CASE("a client that goes away meanwhile does not take its job with it") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  slow_program program("#!/bin/sh\nexit 3\n");
  { slow_start gone(server, program); }
  CHECK(server.ask("GET", "/healthz").status == 200);
  auto id = only_job(server)["id"].get<std::string>();
  program.file.let_go();
  CHECK(server.ended(id)["exit_code"] == 3);
  CHECK(server.stop() == 0);
}

TEST_CASE("a client that says no more meanwhile is answered") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  slow_program program("#!/bin/sh\nexit 3\n");
  slow_start start(server, program);
  start.client.say_no_more();
  for (int i = 0; i < 2; ++i) CHECK(server.ask("GET", "/healthz").status == 200);
  program.file.let_go();
  auto reply = start.reply();
  CHECK(reply.status == 201);
  CHECK(server.ended(reply)["exit_code"] == 3);
  CHECK(start.client.rest().empty());
  CHECK(server.stop() == 0);
}

TEST_CASE("a server that ends waits for what is being started, and ends it") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--grace", "600"});
  slow_program program;
  slow_start start(server, program);
  server.drain(SIGTERM);
  int killed_by = SIGTERM;
  SUBCASE("with the grace") {}
  SUBCASE("at once, after a second signal") {
    server.program.send(SIGTERM);
    killed_by = SIGKILL;
    // libuv tells signals last in a turn: when the second answer is there the first one's turn is over.
    for (int i = 0; i < 2; ++i) CHECK(server.ask("GET", "/healthz").status == 503);
  }
  program.file.let_go();
  auto reply = start.reply();
  CHECK(reply.status == 201);
  CHECK(server.end() == 0);
  std::string line = program.path + ": killed by signal " + std::to_string(killed_by);
  CHECK_MESSAGE(server.program.errors.find(line) != std::string::npos, server.program.errors);
}

TEST_CASE("of a job that was being started when the server died nobody says that it was not") {
  test::clean_floor floor;
  test::scratch_directory state;
  slow_program program;
  std::string id;
  {
    job_server server({"--allow-any", "--max-jobs", "1", "--state", state.path()});
    auto runs = server.run({"sleep", "600"});
    id = server.post(program.order()).id();
    server.ask("DELETE", "/v1/jobs/" + runs.id());
    program.file.wait_until_it_is_opened();
    server.program.send(SIGKILL);
    CHECK(server.program.end() == 1000 + SIGKILL);
  }
  program.file.let_go();
  CHECK(is_soon([] { return test::children().size() == 1; }));  // it is the test's now
  test::clean_up_children();
  job_server server({"--allow-any", "--state", state.path()});
  CHECK(server.ask("GET", "/v1/jobs/" + id).json()["end"] == "lost");
  CHECK(server.stop() == 0);
}
