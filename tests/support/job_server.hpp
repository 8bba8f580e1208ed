// uvreap-jobserver, run from outside and spoken to over HTTP.
//
//     test::job_server server({"--allow-any"});
//     auto started = server.post(R"({"argv": ["echo", "hello"]})");
//     CHECK(started.status == 201);
//     CHECK(server.ended(started)["exit_code"] == 0);
//     CHECK(server.output(started, "stdout") == "hello\n");
//     CHECK(server.stop() == 0);
//
// The test becomes a subreaper: whoever the server leaves behind becomes the test's child, and clean_floor
// sees it.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "demo_program.hpp"
#include "line_client.hpp"
#include "texts.hpp"

namespace test {

struct http_reply {
  int status = 0;  // 0: the connection was closed without an answer
  std::string head;
  std::string body;

  [[nodiscard]] nlohmann::json json() const {
    auto parsed = nlohmann::json::parse(body, nullptr, false);
    REQUIRE_MESSAGE(!parsed.is_discarded(), body);
    return parsed;
  }
  [[nodiscard]] std::string id() const { return json().value("id", ""); }          // of a job
  [[nodiscard]] std::string detail() const { return json().value("detail", ""); }  // of a problem
  // Its value; empty: there is none.
  [[nodiscard]] std::string field(const std::string& name) const {
    auto at = head.find("\n" + name + ": ");
    if (at == std::string::npos) return {};
    at += name.size() + 3;
    return head.substr(at, head.find('\r', at) - at);
  }
};

// An interim answer (100) is one of its own, without a body.
inline http_reply reply_of(line_client& client, bool has_body = true) {
  http_reply reply;
  std::string line = client.line();
  if (line.size() > 12) reply.status = std::atoi(line.c_str() + 9);
  while (!line.empty() && line != "\r") {
    reply.head += line + '\n';
    line = client.line();
  }
  if (!has_body) return reply;
  if (reply.field("Transfer-Encoding") == "chunked") {
    while (auto length = std::strtoul(client.line().c_str(), nullptr, 16)) {
      reply.body += client.bytes(length);
      client.line();
    }
    client.line();
  } else if (std::string length = reply.field("Content-Length"); !length.empty()) {
    reply.body = client.bytes(std::strtoul(length.c_str(), nullptr, 10));
  }
  return reply;
}

class job_server {
 public:
  explicit job_server(std::vector<std::string> arguments) : program(with_index(std::move(arguments))) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    REQUIRE_MESSAGE(program.read_until("\n"), "it did not start");
    port = number_after("listening on http://127.0.0.1:", program);
  }

  demo_program program;
  int port = 0;
  std::string token;  // given with each request, if there is one

  [[nodiscard]] std::string head(const std::string& method, const std::string& path) const {
    std::string text = method + " " + path + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port) + "\r\n";
    if (!token.empty()) text += "Authorization: Bearer " + token + "\r\n";
    return text;
  }
  [[nodiscard]] std::string order(const std::string& body) const {
    return head("POST", "/v1/jobs") +
           "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
  }

  // On a connection that is kept, as long as the server keeps it.
  http_reply ask(const std::string& method, const std::string& path) {
    return ask_raw(head(method, path) + "\r\n");
  }
  http_reply post(const std::string& body) { return ask_raw(order(body)); }
  http_reply run(const std::vector<std::string>& argv) { return post(nlohmann::json{{"argv", argv}}.dump()); }
  http_reply ask_raw(const std::string& request) {
    if (!client_) client_.emplace(port);
    client_->say(request);
    http_reply reply = reply_of(*client_, !request.starts_with("HEAD"));
    if (reply.status == 0 || reply.field("Connection") == "close") client_.reset();
    return reply;
  }

  // What a job became, waited for.
  nlohmann::json ended(const std::string& id) {
    for (int tries = 0; tries < 3000; ++tries) {
      auto job = ask("GET", "/v1/jobs/" + id).json();
      if (job.value("state", "") == "ended") return job;
      ::usleep(10'000);
    }
    FAIL("the job does not end");
    return {};
  }
  nlohmann::json ended(const http_reply& started) { return ended(started.id()); }

  // What it wrote, as far as that is kept.
  std::string output(const std::string& id, const std::string& stream) {
    auto reply = ask("GET", "/v1/jobs/" + id + "/" + stream);
    CHECK(reply.status == 200);
    return reply.body;
  }
  std::string output(const http_reply& started, const std::string& stream) {
    return output(started.id(), stream);
  }

  // What GET /metrics says of a name with its labels.
  double metric(const std::string& name) const {
    line_client client(port);
    client.say(head("GET", "/metrics") + "Connection: close\r\n\r\n");
    std::string text = client.rest();
    auto at = text.find("\n" + name + " ");
    REQUIRE_MESSAGE(at != std::string::npos, text);
    return std::atof(text.c_str() + at + name.size() + 2);
  }

  // Returns when the server says that it is ending.
  void drain(int signum) {
    program.send(signum);
    while (ask("GET", "/healthz").status == 200) ::usleep(1'000);
  }

  int stop() {
    client_.reset();
    program.send(SIGTERM);
    return end();
  }
  int end() {
    int status = program.end();
    reap_killed();
    return status;
  }

  static std::vector<std::string> with_index(std::vector<std::string> arguments) {
    if (const char* kind = std::getenv("UVREAP_TEST_BACKEND"))
      arguments.insert(arguments.end(), {"--backend", kind});
    if (std::find(arguments.begin(), arguments.end(), "--port") == arguments.end()) {
      arguments.insert(arguments.end(), {"--port", "0"});
    }
    return arguments;
  }

 private:
  // What a job had begun and the server killed is ours to reap. What lives is left to clean_floor, to see it.
  static void reap_killed() {
    for (int tries = 0; tries < 200 && ::waitpid(-1, nullptr, WNOHANG) >= 0; ++tries) ::usleep(1'000);
  }

  std::optional<line_client> client_;
};

inline bool is_there(pid_t pid) { return ::kill(pid, 0) == 0 || errno != ESRCH; }

// A file that lives as long as this.
class scratch_file {
 public:
  explicit scratch_file(const std::string& text) {
    int descriptor = ::mkstemp(path.data());
    REQUIRE(descriptor >= 0);
    ::close(descriptor);
    std::ofstream(path) << text;
  }
  ~scratch_file() { ::unlink(path.c_str()); }
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;

  std::string path = "/tmp/uvreap-test-XXXXXX";
};

// The server's events. By HTTP/1.0 they come without chunks, and so in lines.
class event_stream {
 public:
  explicit event_stream(const job_server& server) : client_(server.port) {
    std::string request = server.head("GET", "/v1/events") + "\r\n";
    client_.say(request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0"));
    reply = reply_of(client_);
  }

  struct event {
    std::string name;  // empty: the stream ended
    nlohmann::json data{};
  };

  http_reply reply;

  // The next but beats.
  event next() {
    for (;;) {
      event read = any();
      if (read.name != "beat") return read;
    }
  }
  event any() {
    event read;
    while (read.data.is_null()) {
      std::string line = client_.line();
      if (line.starts_with("event: ")) read.name = line.substr(7);
      if (line.starts_with("data: ")) read.data = nlohmann::json::parse(line.substr(6), nullptr, false);
      if (line.empty() && client_.has_ended()) return {};
    }
    REQUIRE_MESSAGE(read.data.is_object(), read.name);
    return read;
  }

 private:
  line_client client_;
};

}  // namespace test
