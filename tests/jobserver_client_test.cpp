// uvreap-jobserver and clients that mean ill, or are slow, or too many: they are told, and the rest goes on.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/commands.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::job_server;

pid_t pid_of(job_server& server) {
  auto job = server.run({"sh", "-c", "echo $PPID"});
  server.ended(job);
  return std::stoi(server.output(job, "stdout"));
}

std::size_t descriptors_of(pid_t pid) {
  auto all = std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

long resident_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
  }
  return -1;
}

bool within_ten_seconds(const std::function<bool()>& condition) {
  for (int tries = 0; tries < 1000 && !condition(); ++tries) ::usleep(10'000);
  return condition();
}

}  // namespace

TEST_CASE("a body of 100 MiB is refused before it is read, and takes no memory") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  pid_t pid = pid_of(server);
  long before = resident_kib(pid);
  test::scratch_file large("");
  REQUIRE(::truncate(large.path.c_str(), 100 << 20) == 0);
  std::string command = "curl -s -w '%{http_code}' -H 'Content-Type: application/json' --data-binary @" +
                        large.path + " http://localhost:" + std::to_string(server.port) + "/v1/jobs";
  FILE* curl = ::popen(command.c_str(), "r");
  char said[500] = {};
  (void)!std::fread(said, 1, sizeof said - 1, curl);
  CHECK(::pclose(curl) == 0);
  CHECK(std::string(said).ends_with("\"detail\":\"the body is longer than 1048576 bytes\"}\n413"));
  CHECK(resident_kib(pid) < before + (8 << 10));
  CHECK(server.stop() == 0);
}

TEST_CASE("without the token nothing is told but that the server is there") {
  test::clean_floor floor;
  std::string token = "0123456789abcdef-._~+XYZ";
  std::string some_id = "01a225f1-d872-7000-8fd7-426d1d5c2d3b";
  test::scratch_file file(token + "\n");
  job_server server({"--allow-any", "--token-file", file.path});
  for (const char* wrong :
       {"", "0", "0123456789abcdef-._~+XY", "0123456789abcdef-._~+XYz", "0123456789abcdef-._~+XYZZ"}) {
    server.token = wrong;
    CHECK(server.run({"true"}).status == 401);
    CHECK(server.ask("GET", "/v1/jobs").status == 401);
    CHECK(server.ask("GET", "/v1/jobs/" + some_id).status == 401);
    CHECK(server.ask("GET", "/v1/jobs/" + some_id + "/stdout").status == 401);
    CHECK(server.ask("DELETE", "/v1/jobs/" + some_id).status == 401);
    CHECK(server.ask("GET", "/metrics").status == 401);
    CHECK(server.ask("GET", "/nowhere").status == 401);
    CHECK(test::event_stream(server).reply.status == 401);
    CHECK(server.ask("GET", "/healthz").status == 200);
  }
  server.token = "";
  for (const char* scheme : {"Basic", "Bear", "Bearerx", ""}) {
    std::string line = std::string("Authorization: ") + scheme + " " + token + "\r\n";
    CHECK(server.ask_raw(server.head("GET", "/v1/jobs") + line + "\r\n").status == 401);
  }
  for (const char* scheme : {"bearer", "BEARER", "Bearer "}) {
    std::string line = std::string("Authorization: ") + scheme + " " + token + "\r\n";
    CHECK(server.ask_raw(server.head("GET", "/v1/jobs") + line + "\r\n").status == 200);
  }
  server.token = token;
  CHECK(test::event_stream(server).reply.status == 200);
  CHECK(server.run({"true"}).status == 201);
  CHECK(server.stop() == 0);
}

TEST_CASE("a page of somewhere else can neither run commands nor listen") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string body = R"({"argv": ["true"]})";
  auto post_with = [&](const std::string& host, const std::string& lines) {
    return server.ask_raw("POST /v1/jobs HTTP/1.1\r\nHost: " + host + "\r\n" + lines +
                          "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  std::string here = "localhost:" + std::to_string(server.port);
  std::string is_json = "Content-Type: application/json\r\n";
  CHECK(post_with(here, is_json + "Origin: http://elsewhere.example\r\n").status == 403);
  CHECK(post_with(here, is_json + "Origin: null\r\n").status == 403);
  CHECK(post_with(here, is_json + "Origin: http://localhost:1\r\n").status == 403);
  CHECK(post_with("rebound.example", is_json).status == 403);
  CHECK(post_with("localhost.example", is_json).status == 403);
  CHECK(post_with("", is_json).status == 400);
  CHECK(post_with(here, "").status == 415);
  CHECK(post_with(here, "Content-Type: text/plain\r\n").status == 415);
  CHECK(post_with(here, "Content-Type: application/x-www-form-urlencoded\r\n").status == 415);
  auto events = server.head("GET", "/v1/events") + "Origin: http://elsewhere.example\r\n\r\n";
  CHECK(server.ask_raw(events).status == 403);
  CHECK(server.metric("jobserver_jobs_started_total") == 0);
  CHECK(post_with(here, is_json + "Origin: http://" + here + "\r\n").status == 201);
  CHECK(post_with("127.0.0.1", "Content-Type: Application/JSON; charset=utf-8\r\n").status == 201);
  CHECK(post_with("[::1]:80", is_json).status == 201);
  CHECK(server.stop() == 0);
}

TEST_CASE("a thousand slow clients hold nobody up, and are let go of with all their descriptors") {
  test::clean_floor floor;
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_max < 1200) {
    MESSAGE("SKIP: no more than " << limit.rlim_max << " descriptors");
    return;
  }
  job_server server({"--allow-any", "--max-clients", "1005"});
  pid_t pid = pid_of(server);
  auto before = descriptors_of(pid);
  std::vector<std::unique_ptr<test::line_client>> slow;
  for (int i = 0; i < 1000; ++i) {
    slow.push_back(std::make_unique<test::line_client>(server.port));
    REQUIRE(slow.back()->connected);
    // Half a request each: of its headers, or of its body.
    std::string half = server.order("{\"argv\": [\"true\"]}");
    slow.back()->say(half.substr(0, i % 2 == 0 ? 20 : half.size() - 5));
  }
  CHECK(within_ten_seconds([&] { return server.metric("jobserver_clients") >= 1001; }));
  auto job = server.run({"true"});
  CHECK(job.status == 201);
  CHECK(server.ended(job)["exit_code"] == 0);

  // Some more, and there are too many: those are told.
  while (slow.size() < 1004) slow.push_back(std::make_unique<test::line_client>(server.port));
  test::line_client one_too_many(server.port);
  CHECK(one_too_many.line().starts_with("HTTP/1.1 503"));
  slow.clear();
  CHECK(within_ten_seconds([&] { return descriptors_of(pid) == before; }));
  CHECK(server.metric("jobserver_clients_refused_total") >= 1);
  CHECK(server.stop() == 0);
}

TEST_CASE("who reads events too slowly loses some, is told how many, and holds no memory for them") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--keep", "0"});
  test::event_stream events(server);
  REQUIRE(events.reply.status == 200);
  std::string long_argument(180, 'x');
  double dropped = 0;
  for (int jobs = 0; jobs < 20'000 && dropped == 0; ++jobs) {
    if (server.run({"true", long_argument}).status == 503) ::usleep(1'000);
    if (jobs % 200 == 0) dropped = server.metric("jobserver_events_dropped_total");
  }
  REQUIRE(dropped > 0);
  auto event = events.next();
  while (event.name != "dropped" && !event.name.empty()) event = events.next();
  REQUIRE(event.name == "dropped");
  CHECK(event.data["count"] >= dropped);
  CHECK_FALSE(events.next().name.empty());  // and it goes on
  CHECK(server.stop() == 0);
}

TEST_CASE("who listens and goes away is let go of, though nothing is written to it") {
  test::clean_floor floor;
  test::scratch_directory scratch;
  std::string path = scratch / "socket";
  job_server server({"--allow-any", "--listen", "127.0.0.1", "--listen", path});
  auto job = server.run({"sleep", "600"});
  std::string follow = server.head("GET", "/v1/jobs/" + job.id() + "/stdout?follow") + "\r\n";
  std::vector<std::unique_ptr<test::line_client>> followers;
  for (int i = 0; i < 20; ++i) {
    followers.push_back(i % 2 == 0 ? std::make_unique<test::line_client>(server.port)
                                   : std::make_unique<test::line_client>(path));
    if (i % 2 == 0) followers.back()->be_forgotten_soon();
    followers.back()->say(follow);
    CHECK(followers.back()->line().starts_with("HTTP/1.1 200"));
  }
  CHECK(server.metric("jobserver_clients") >= 20);
  followers.clear();
  // At once by a Unix socket. By TCP only its kernel can tell that it does not just say no more.
  CHECK(within_ten_seconds([&] { return server.metric("jobserver_clients") < 15; }));
  bool are_gone = false;
  for (int i = 0; i < 6 && !are_gone; ++i) {
    are_gone = within_ten_seconds([&] { return server.metric("jobserver_clients") < 5; });
  }
  CHECK(are_gone);
  CHECK(server.stop() == 0);
}

TEST_CASE(
    "each request's fields must come in ten seconds, however they dribble; between requests is a minute") {
  test::clean_floor floor;
  test::scratch_directory scratch;
  std::string path = scratch / "socket";
  job_server server({"--allow-any", "--listen", "127.0.0.1", "--listen", path});
  std::string get = server.head("GET", "/healthz");
  auto served = [&](auto where) {
    auto client = std::make_unique<test::line_client>(where);
    client->say(get + "\r\n");
    CHECK(test::reply_of(*client).status == 200);
    return client;
  };
  struct dribbler {
    std::unique_ptr<test::line_client> client;
    std::string text;
    std::chrono::steady_clock::duration lasted{};
  };
  std::string in_line = "GET /healthz?" + std::string(3'000, 'x');
  std::string in_fields = get + std::string(3'000, 'x');
  dribbler all[] = {{std::make_unique<test::line_client>(server.port), in_fields},
                    {served(server.port), in_line},
                    {served(server.port), in_fields},
                    {served(path), in_fields}};
  test::line_client silent(server.port);
  auto idle = served(server.port);
  auto begin = std::chrono::steady_clock::now();
  auto is_under_way = [](const dribbler& one) { return one.lasted.count() == 0; };
  for (std::size_t at = 0; std::ranges::any_of(all, is_under_way) && at < in_line.size(); ++at) {
    for (dribbler& one : all) {
      if (!is_under_way(one) || one.client->try_say(one.text.substr(at, 1))) continue;
      one.lasted = std::chrono::steady_clock::now() - begin;
    }
    ::usleep(10'000);
  }
  for (const dribbler& one : all) {
    CAPTURE(&one - all);
    CHECK(one.lasted > std::chrono::seconds(9));
    CHECK(one.lasted < std::chrono::seconds(25));
  }
  CHECK(silent.rest().empty());
  idle->say(get + "\r\n");
  CHECK(test::reply_of(*idle).status == 200);
  CHECK(server.stop() == 0);
}
