// uvreap-jobserver, from outside: jobs are started, told and kept, and others hear of them.
#include <doctest/doctest.h>
#include <signal.h>

#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::job_server;

// What a command of this machine writes to its stdout.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char part[4096];
  for (std::size_t length; (length = std::fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, length);
  ::pclose(pipe);
  return text;
}

bool has_command(const std::string& name) { return !output_of("command -v " + name).empty(); }

std::string curl(const job_server& server, const std::string& arguments, const std::string& path) {
  return output_of("curl -s " + arguments + " http://localhost:" + std::to_string(server.port) + path);
}

}  // namespace

TEST_CASE("by curl: a job is started, and told with its status, what it cost and what it wrote") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string order =
      R"({"argv": ["sh", "-c", "cat; echo oops >&2; exit 3"], "stdin": "hello\n", "timeout": 60})";
  auto started = json::parse(curl(server, "-H 'Content-Type: application/json' -d '" + order + "'", "/jobs"));
  CHECK(started["id"] == 1);
  CHECK(started["state"] == "running");
  CHECK(started["pid"] > 0);
  server.ended(1);

  auto job = json::parse(curl(server, "", "/jobs/1"));
  CHECK(job["status"] == "exited with 3");
  CHECK(job["exit_code"] == 3);
  CHECK(job["signal"].is_null());
  CHECK(job["timed_out"] == false);
  CHECK(job["stdout"] == json{{"text", "hello\n"}, {"bytes", 6}, {"cut", nullptr}});
  CHECK(job["stderr"] == json{{"text", "oops\n"}, {"bytes", 5}, {"cut", nullptr}});
  CHECK(job["usage"]["max_rss_bytes"] > 0);
  CHECK(job["wall_ms"] > 0);
  CHECK(curl(server, "", "/healthz") == "ok\n");
  CHECK(server.stop() == 0);
  CHECK(server.program.errors.find("ANY command") != std::string::npos);
}

TEST_CASE("a large stdin comes whole, and a job that does not read it ends nevertheless") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string text(900'000, 'x');
  auto counts = server.post(json{{"argv", {"wc", "-c"}}, {"stdin", text}}.dump());
  auto ignores = server.post(json{{"argv", {"true"}}, {"stdin", text}}.dump());
  auto nothing = server.post(json{{"argv", {"wc", "-c"}}, {"stdin", ""}}.dump());
  CHECK(server.ended(counts.json()["id"])["stdout"]["text"] == "900000\n");
  CHECK(server.ended(ignores.json()["id"])["exit_code"] == 0);
  CHECK(server.ended(nothing.json()["id"])["stdout"]["text"] == "0\n");
  CHECK(server.stop() == 0);
}

TEST_CASE("output is kept up to the limit, and that it was cut is said") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--keep-output", "1000"});
  auto job = server.ended(server.run({"seq", "100000"}).json()["id"]);
  CHECK(job["stdout"]["bytes"] == 1000);
  CHECK(job["stdout"]["text"].get<std::string>().starts_with("1\n2\n3\n"));
  CHECK(job["stdout"]["cut"] == "by limit");
  CHECK(job["stderr"]["cut"].is_null());
  auto odd = server.ended(server.run({"printf", "a\\377b"}).json()["id"]);  // no UTF-8
  CHECK(odd["stdout"]["text"] ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK(odd["stdout"]["bytes"] == 3);
  CHECK(server.stop() == 0);
}

TEST_CASE("only what the file names may run, and nothing without a file") {
  test::clean_floor floor;
  test::scratch_file allowed("# these two\ntrue\n/bin/echo\n");
  {
    job_server server({"--allow", allowed.path});
    CHECK(server.run({"true"}).status == 201);
    CHECK(server.run({"/bin/echo", "x"}).status == 201);
    for (const char* other : {"false", "/bin/true", "echo", "../bin/echo", "# these two", "true "}) {
      CHECK(server.run({other}).status == 403);
    }
    CHECK(server.stop() == 0);
    CHECK(server.program.errors.empty());
  }
  job_server none({});
  CHECK(none.run({"true"}).status == 403);
  CHECK(none.metric("jobserver_jobs_started_total") == 0);
  CHECK(none.stop() == 0);
}

TEST_CASE("above --max-jobs a job is refused, until another one has ended") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "2"});
  CHECK(server.run({"sleep", "600"}).status == 201);
  CHECK(server.run({"sleep", "600"}).status == 201);
  auto refused = server.run({"true"});
  CHECK(refused.status == 503);

  CHECK(refused.has_header("retry-after: 1"));
  CHECK(server.metric("jobserver_jobs_running") == 2);
  server.ask("DELETE", "/jobs/2");
  server.ended(2);
  CHECK(server.run({"true"}).status == 201);
  CHECK(server.stop() == 0);
}

TEST_CASE("of the jobs that have ended the last are kept, by their number and by their memory") {
  test::clean_floor floor;
  for (std::vector<std::string> limit : {std::vector<std::string>{"--keep", "2"}, {"--keep-memory", "25K"}}) {
    limit.push_back("--allow-any");
    job_server server(limit);
    for (int i = 1; i <= 4; ++i) server.ended(server.run({"seq", "2000"}).json()["id"]);  // 8 893 bytes
    CHECK(server.ask("GET", "/jobs/4").status == 200);
    CHECK(server.ask("GET", "/jobs/3").status == 200);
    CHECK(server.ask("GET", "/jobs/2").status == 404);
    CHECK(server.ask("GET", "/jobs/1").status == 404);
    CHECK(server.ask("GET", "/jobs").json().size() == 2);
    CHECK(server.stop() == 0);
  }
}

TEST_CASE("a WebSocket is told of each start and each end") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  test::event_socket events(server);
  REQUIRE(events.reply.status == 101);
  for (int id = 1; id <= 50; ++id) server.run({"true"});
  std::set<int> begun, done;
  while (done.size() < 50) {
    json event = events.next();
    REQUIRE(event.is_object());
    int id = event["id"];
    if (event["event"] == "start") {
      CHECK(begun.insert(id).second);
    } else {
      CHECK(event["event"] == "end");
      CHECK(begun.contains(id));
      CHECK(done.insert(id).second);
      CHECK(event["exit_code"] == 0);
    }
  }
  // The last is told, too, when the server ends.
  server.run({"sleep", "600"});
  CHECK(events.next()["event"] == "start");
  CHECK(server.stop() == 0);
  CHECK(events.next()["signal"] == SIGTERM);
  CHECK(events.next().is_null());
}

TEST_CASE("metrics count the jobs and what the reaper did") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  server.ended(server.run({"true"}).json()["id"]);
  server.ended(server.run({"false"}).json()["id"]);
  server.ended(server.run({"sh", "-c", "kill -9 $$"}).json()["id"]);
  server.run({"/no/such/program"});
  CHECK(server.metric("jobserver_jobs_started_total") == 3);
  CHECK(server.metric("jobserver_jobs_not_started_total") == 1);
  CHECK(server.metric("jobserver_jobs_ended_total{how=\"exit_0\"}") == 1);
  CHECK(server.metric("jobserver_jobs_ended_total{how=\"exit_other\"}") == 1);
  CHECK(server.metric("jobserver_jobs_ended_total{how=\"signal\"}") == 1);
  CHECK(server.metric("jobserver_job_wall_seconds_count") == 3);
  CHECK(server.metric("jobserver_reaper_reaped_total") == 3);
  CHECK(server.metric("jobserver_reaper_lost_total") == 0);
  CHECK(server.metric("jobserver_reaper_watched") == 0);
  CHECK(server.stop() == 0);
}

TEST_CASE("by wrk: under load every request is answered, and jobs beside it end") {
  test::clean_floor floor;
  if (!has_command("wrk")) {
    MESSAGE("SKIP: wrk is not installed");
    return;
  }
  job_server server({"--allow-any"});
  server.run({"sleep", "0.2"});
  std::string said =
      output_of("wrk -t 1 -c 50 -d 1 http://localhost:" + std::to_string(server.port) + "/healthz");
  CHECK_MESSAGE(said.find("Requests/sec:") != std::string::npos, said);
  CHECK_MESSAGE(said.find("Socket errors") == std::string::npos, said);
  CHECK_MESSAGE(said.find("Non-2xx") == std::string::npos, said);
  CHECK(server.ended(1)["exit_code"] == 0);
  CHECK(server.stop() == 0);
}
