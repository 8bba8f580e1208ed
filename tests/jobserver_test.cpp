// uvreap-jobserver, from outside: jobs are started, wait, are told and kept, and others hear of them.
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
using test::output_of;

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
  auto started =
      json::parse(curl(server, "-H 'Content-Type: application/json' -d '" + order + "'", "/v1/jobs"));
  CHECK(started["state"] == "running");
  CHECK(started["pid"] > 0);
  std::string id = started["id"];
  server.ended(id);

  auto job = json::parse(curl(server, "", "/v1/jobs/" + id));
  CHECK(job["status"] == "exited with 3");
  CHECK(job["end"] == "exited");
  CHECK(job["exit_code"] == 3);
  CHECK(job["signal"].is_null());
  CHECK(job["timed_out"] == false);
  CHECK(job["stdout"] == json{{"bytes", 6}, {"cut", nullptr}});
  CHECK(job["stderr"] == json{{"bytes", 5}, {"cut", nullptr}});
  CHECK(job["usage"]["max_rss_bytes"] > 0);
  CHECK(job["wall_ms"] > 0);
  CHECK(curl(server, "", "/v1/jobs/" + id + "/stdout") == "hello\n");
  CHECK(curl(server, "", "/v1/jobs/" + id + "/stderr") == "oops\n");
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
  server.ended(counts);
  CHECK(server.output(counts, "stdout") == "900000\n");
  CHECK(server.ended(ignores)["exit_code"] == 0);
  server.ended(nothing);
  CHECK(server.output(nothing, "stdout") == "0\n");
  CHECK(server.stop() == 0);
}

TEST_CASE("a job has the directory and the environment that it was asked with") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto started = server.post(
      R"({"argv": ["sh", "-c", "pwd; echo $GREETING"], "cwd": "/usr", "env": {"GREETING": "hello"}})");
  server.ended(started);
  CHECK(server.output(started, "stdout") == "/usr\nhello\n");
  CHECK(server.post(R"({"argv": ["true"], "cwd": "/no/such/directory"})").status == 422);
  CHECK(server.stop() == 0);
}

TEST_CASE("above --max-jobs jobs wait in their order, and only above --max-queue they are refused") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "1", "--max-queue", "2"});
  auto runs = server.run({"sleep", "600"});
  CHECK(runs.status == 201);
  auto first = server.run({"true"});
  auto second = server.run({"sleep", "600"});
  CHECK(first.status == 202);
  CHECK(first.field("Location") == "jobs/" + first.id());
  CHECK(first.json()["state"] == "queued");
  CHECK(first.json()["position"] == 1);
  CHECK(first.json()["started_ms"].is_null());
  CHECK(second.json()["position"] == 2);
  auto refused = server.run({"true"});
  CHECK(refused.status == 503);
  CHECK(refused.field("Retry-After") == "1");
  CHECK(server.metric("jobserver_jobs_running") == 1);
  CHECK(server.metric("jobserver_jobs_queued") == 2);

  server.ask("DELETE", "/v1/jobs/" + runs.id());
  CHECK(server.ended(first)["exit_code"] == 0);
  while (server.ask("GET", "/v1/jobs/" + second.id()).json()["state"] != "running") ::usleep(1'000);
  CHECK(server.stop() == 0);
}

TEST_CASE("a job that waits can be ended, and one that cannot be started says so when its turn has come") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "1"});
  auto runs = server.run({"sleep", "600"});
  auto waits = server.run({"true"});
  auto absent = server.run({"/no/such/program"});
  CHECK(absent.json()["position"] == 2);
  CHECK(server.ask("DELETE", "/v1/jobs/" + waits.id()).status == 202);
  CHECK(server.ended(waits)["end"] == "canceled");
  CHECK(server.ask("GET", "/v1/jobs/" + absent.id()).json()["position"] == 1);
  server.ask("DELETE", "/v1/jobs/" + runs.id());
  auto job = server.ended(absent);
  CHECK(job["end"] == "not_started");
  CHECK(job["status"] == "cannot start /no/such/program: no such file or directory");
  CHECK(server.metric("jobserver_jobs_canceled_total") == 1);
  CHECK(server.stop() == 0);
}

TEST_CASE("what waits when the server ends is canceled, and said") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "1", "--grace", "600"});
  server.run({"sh", "-c", "trap '' TERM; exec sleep 600"});
  auto waits = server.run({"true"});
  server.drain(SIGTERM);
  CHECK(server.ended(waits)["end"] == "canceled");
  server.program.send(SIGTERM);
  CHECK(server.end() == 0);
  CHECK(server.program.errors.find(waits.id()) != std::string::npos);
}

TEST_CASE("of the jobs that have ended the last are kept, by their number and by what they take") {
  test::clean_floor floor;
  for (std::vector<std::string> limit : {std::vector<std::string>{"--keep", "2"}, {"--keep-memory", "25K"}}) {
    limit.push_back("--allow-any");
    job_server server(limit);
    std::vector<std::string> ids;
    for (int i = 0; i < 4; ++i) {
      ids.push_back(server.run({"seq", "2000"}).id());  // 8 893 bytes
      server.ended(ids.back());
    }
    CHECK(server.ask("GET", "/v1/jobs/" + ids[3]).status == 200);
    CHECK(server.ask("GET", "/v1/jobs/" + ids[2]).status == 200);
    CHECK(server.ask("GET", "/v1/jobs/" + ids[1]).status == 404);
    CHECK(server.ask("GET", "/v1/jobs/" + ids[0] + "/stdout").status == 404);
    CHECK(server.ask("GET", "/v1/jobs").json()["jobs"].size() == 2);
    CHECK(server.stop() == 0);
  }
}

TEST_CASE("all jobs are listed by pages, each once, in the order in which they came") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "3"});
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(server.run({"sleep", "600"}).id());  // two of them wait
  ids.push_back(server.run({"true", std::string(1000, 'x')}).id());
  std::vector<std::string> listed;
  json next = "";
  std::set<std::string> states;
  while (!next.is_null()) {
    std::string after = next.get<std::string>().empty() ? "" : "&after=" + next.get<std::string>();
    auto page = server.ask("GET", "/v1/jobs?limit=4" + after).json();
    CHECK(page["jobs"].size() <= 4);
    for (const auto& job : page["jobs"]) {
      listed.push_back(job["id"]);
      states.insert(job["state"]);
      if (job["state"] == "queued") CHECK(job["position"] == listed.size() - 3);
    }
    next = page["next"];
  }
  CHECK(listed == ids);
  CHECK(states == std::set<std::string>{"queued", "running"});
  auto last = server.ask("GET", "/v1/jobs?after=" + ids[4]).json()["jobs"];
  CHECK(last.size() == 1);
  CHECK(last[0]["argv"][1] == std::string(196, 'x') + "...");
  CHECK(server.ask("GET", "/v1/jobs/" + ids[5]).json()["argv"][1] == std::string(1000, 'x'));
  CHECK(server.stop() == 0);
}

TEST_CASE("who listens to events is told of each start and each end") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  test::event_stream events(server);
  REQUIRE(events.reply.status == 200);
  CHECK(events.reply.field("Content-Type") == "text/event-stream");
  for (int i = 0; i < 50; ++i) server.run({"true"});
  std::set<std::string> begun, done;
  while (done.size() < 50) {
    auto event = events.next();
    REQUIRE(!event.name.empty());
    std::string id = event.data["id"];
    if (event.name == "start") {
      CHECK(begun.insert(id).second);
    } else {
      CHECK(event.name == "end");
      CHECK(begun.contains(id));
      CHECK(done.insert(id).second);
      CHECK(event.data["exit_code"] == 0);
    }
  }
  while (events.any().name != "beat") {
  }
  // The last is told, too, when the server ends.
  server.run({"sleep", "600"});
  CHECK(events.next().name == "start");
  CHECK(server.stop() == 0);
  CHECK(events.next().data["signal"] == SIGTERM);
  CHECK(events.next().name.empty());
}

TEST_CASE("metrics count the jobs and what the reaper did, and say what this is") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  server.ended(server.run({"true"}));
  server.ended(server.run({"false"}));
  server.ended(server.run({"sh", "-c", "kill -9 $$"}));
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
  CHECK(server.metric("process_resident_memory_bytes") > 1e6);
  CHECK(server.metric("process_open_fds") > 3);
  CHECK(server.metric("process_start_time_seconds") > 1.7e9);
  CHECK(server.ask("GET", "/metrics").body.find("\njobserver_build_info{version=\"") != std::string::npos);
  CHECK(server.stop() == 0);
}

TEST_CASE("by promtool: the metrics are as Prometheus wants them") {
  test::clean_floor floor;
  if (!has_command("promtool")) {
    MESSAGE("SKIP: promtool is not installed (Debian: prometheus)");
    return;
  }
  job_server server({"--allow-any"});
  server.ended(server.run({"true"}));
  std::string url = "http://localhost:" + std::to_string(server.port) + "/metrics";
  CHECK(output_of("curl -s " + url + " | promtool check metrics 2>&1").empty());
  CHECK(server.stop() == 0);
}

TEST_CASE("by wrk: under load every request is answered, and jobs beside it end") {
  test::clean_floor floor;
  if (!has_command("wrk")) {
    MESSAGE("SKIP: wrk is not installed");
    return;
  }
  job_server server({"--allow-any"});
  auto job = server.run({"sleep", "0.2"});
  std::string said =
      output_of("wrk -t 1 -c 50 -d 1 http://localhost:" + std::to_string(server.port) + "/healthz");
  CHECK_MESSAGE(said.find("Requests/sec:") != std::string::npos, said);
  CHECK_MESSAGE(said.find("Socket errors") == std::string::npos, said);
  CHECK_MESSAGE(said.find("Non-2xx") == std::string::npos, said);
  CHECK(server.ended(job)["exit_code"] == 0);
  CHECK(server.stop() == 0);
}
