// uvreap-jobserver and its own description: every answer is one that /v1/openapi.json describes.
#include <doctest/doctest.h>

#include <cstring>
#include <set>
#include <string>

#include "support/clean_floor.hpp"
#include "support/job_server.hpp"
#include "support/openapi.hpp"

namespace {

using nlohmann::json;
using test::job_server;

// Asks, and has the answer compared; each path and method that was asked for is noted.
class asker {
 public:
  explicit asker(job_server& server) : server_(server), api_(server.ask("GET", "/v1/openapi.json").json()) {}

  test::http_reply ask(const std::string& method, const std::string& path, const std::string& id = "",
                       const std::string& more = "") {
    std::string target = path;
    for (const char* part : {"{id}", "{file}"}) {
      if (auto at = target.find(part); at != std::string::npos) target.replace(at, std::strlen(part), id);
    }
    std::string lower = method == "GET" ? "get" : method == "POST" ? "post" : "delete";
    auto reply = method == "POST" ? server_.post(more) : server_.ask(method, target + more);
    std::string why = api_.why_not(lower, path, reply);
    CHECK_MESSAGE(why.empty(), method, " ", path, more, ": ", why, "\n", reply.body);
    asked_.insert(lower + " " + path);
    return reply;
  }

  [[nodiscard]] std::string not_asked() const {
    std::string left;
    for (const auto& [path, item] : api_.paths().items()) {
      for (const char* method : {"get", "post", "delete", "put"}) {
        std::string name = std::string(method) + " " + path;
        if (item.contains(method) && !asked_.contains(name)) left += name + "\n";
      }
    }
    return left;
  }

  [[nodiscard]] const test::openapi& api() const { return api_; }

 private:
  job_server& server_;
  test::openapi api_;
  std::set<std::string> asked_;
};

}  // namespace

TEST_CASE("every path is described, and answers as it is described") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "2", "--max-queue", "2"});
  asker asker(server);
  std::string nobody = "01a225f1-d872-7000-8fd7-426d1d5c2d3b";
  for (const char* path : {"/", "/healthz", "/metrics", "/v1/openapi.json"}) asker.ask("GET", path);
  for (const json& file : asker.api().paths()["/{file}"]["get"]["parameters"][0]["schema"]["enum"]) {
    CHECK(asker.ask("GET", "/{file}", file).status == 200);
  }

  auto runs =
      asker.ask("POST", "/v1/jobs", "", R"({"argv": ["sleep", "600"], "timeout": 700.5, "cwd": "/"})");
  CHECK(runs.status == 201);
  auto ended = asker.ask("POST", "/v1/jobs", "", R"({"argv": ["sh", "-c", "echo out; exit 3"]})");
  server.ended(ended);
  asker.ask("POST", "/v1/jobs", "", R"({"argv": ["sleep", "600"]})");
  auto waits = asker.ask("POST", "/v1/jobs", "", R"({"argv": ["true"]})");
  CHECK(waits.status == 202);
  asker.ask("POST", "/v1/jobs", "", R"({"argv": ["true"]})");
  CHECK(asker.ask("POST", "/v1/jobs", "", R"({"argv": ["true"]})").status == 503);
  CHECK(asker.ask("POST", "/v1/jobs", "", "{").status == 400);

  for (const auto& id : {runs.id(), ended.id(), waits.id()}) {
    CHECK(asker.ask("GET", "/v1/jobs/{id}", id).status == 200);
    CHECK(asker.ask("GET", "/v1/jobs/{id}/stdout", id).status == 200);
  }
  CHECK(asker.ask("GET", "/v1/jobs", "", "?limit=2").status == 200);
  CHECK(asker.ask("GET", "/v1/jobs", "", "?limit=0").status == 400);
  for (const char* path : {"/v1/jobs/{id}", "/v1/jobs/{id}/stdout", "/v1/jobs/{id}/stderr"}) {
    CHECK(asker.ask("GET", path, nobody).status == 404);
  }
  CHECK(asker.ask("GET", "/v1/jobs/{id}/stdout", ended.id(), "?follow").body == "out\n");
  CHECK(asker.ask("DELETE", "/v1/jobs/{id}", nobody).status == 404);
  CHECK(asker.ask("DELETE", "/v1/jobs/{id}", ended.id()).status == 409);
  for (const auto& id : {waits.id(), runs.id()})
    CHECK(asker.ask("DELETE", "/v1/jobs/{id}", id).status == 202);
  for (const auto& id : {waits.id(), runs.id()}) {
    server.ended(id);
    CHECK(asker.ask("GET", "/v1/jobs/{id}", id).status == 200);
  }
  auto range =
      server.ask_raw(server.head("GET", "/v1/jobs/" + ended.id() + "/stdout") + "Range: bytes=0-0\r\n\r\n");
  CHECK(asker.api().why_not("get", "/v1/jobs/{id}/stdout", range).empty());
  CHECK(asker.not_asked() == "get /v1/events\n");  // which never ends
  CHECK(server.stop() == 0);
}

TEST_CASE("events carry what is described") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "1"});
  test::openapi api(server.ask("GET", "/v1/openapi.json").json());
  test::event_stream events(server);
  CHECK(api.why_not("get", "/v1/events", events.reply).empty());
  json job{{"$ref", "#/components/schemas/Job"}};
  json beat{{"$ref", "#/components/schemas/Beat"}};
  server.run({"sleep", "0.1"});
  server.run({"true"});
  std::set<std::string> seen;
  while (seen.size() < 4) {
    auto event = events.any();
    REQUIRE(!event.name.empty());
    seen.insert(event.name);
    CHECK(api.why_not(event.name == "beat" ? beat : job, event.data, event.name) == "");
  }
  CHECK(seen == std::set<std::string>{"beat", "end", "queued", "start"});
  CHECK(server.stop() == 0);
}

TEST_CASE("what needs a token is described so, and the rest does not need it") {
  test::clean_floor floor;
  test::scratch_file file("0123456789abcdef");
  job_server server({"--token-file", file.path});
  auto api = server.ask("GET", "/v1/openapi.json").json();
  for (const auto& [path, item] : api["paths"].items()) {
    std::string target = path;
    CAPTURE(target);
    if (auto at = target.find("{id}"); at != std::string::npos) {
      target.replace(at, 4, "01a225f1-d872-7000-8fd7-426d1d5c2d3b");
    }
    if (target == "/{file}") target = "/page.js";
    bool is_open = item["get"].contains("security");
    CHECK((server.ask("GET", target).status == 401) == !is_open);
    CHECK(item["get"]["responses"].contains("401") == !is_open);
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("where jobs were before /v1 they answer as they do now, and say where they are") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string order = server.order(R"({"argv": ["echo", "hello"]})");
  auto job = server.ask_raw(order.replace(order.find("/v1/jobs"), 8, "/jobs"));
  CHECK(job.status == 201);
  CHECK(job.field("Link") == "<v1/jobs>; rel=\"successor-version\"");
  server.ended(job);
  std::string path = "/jobs/" + job.id();
  const std::pair<std::string, std::string> moved[] = {{"/jobs?limit=2", "v1/jobs"},
                                                       {path, "../v1" + path},
                                                       {path + "/stdout", "../../v1" + path + "/stdout"}};
  for (const auto& [from, to] : moved) {
    auto reply = server.ask("GET", from);
    CHECK(reply.status == 200);
    CHECK(reply.body == server.ask("GET", "/v1" + from).body);
    CHECK(reply.field("Deprecation") == "@1795910400");
    CHECK(reply.field("Link") == "<" + to + ">; rel=\"successor-version\"");
    CHECK(server.ask("GET", "/v1" + from).field("Deprecation").empty());
  }
  CHECK(server.ask("DELETE", path).status == 409);
  CHECK(server.ask("GET", "/jobs/1").status == 404);
  CHECK(server.stop() == 0);
}
