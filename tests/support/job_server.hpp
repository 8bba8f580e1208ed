// uvreap-jobserver, run from outside and spoken to over HTTP.
//
//     test::job_server server({"--allow-any"});
//     auto started = server.ask("POST", "/jobs", R"({"argv": ["true"]})");
//     CHECK(started.status == 201);
//     CHECK(server.ended(started.json()["id"])["exit_code"] == 0);
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

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "demo_program.hpp"
#include "line_client.hpp"

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
  [[nodiscard]] bool has_header(const std::string& line) const {
    return head.find(line + "\r\n") != std::string::npos;
  }
};

// Of a server whose bodies are a line each.
inline http_reply reply_of(line_client& client) {
  http_reply reply;
  std::string line = client.line();
  if (line.size() > 12) reply.status = std::atoi(line.c_str() + 9);
  bool has_body = false;
  while (!line.empty() && line != "\r") {
    reply.head += line + '\n';
    if (line.starts_with("content-length: ") && line != "content-length: 0\r") has_body = true;
    line = client.line();
  }
  if (has_body) reply.body = client.line();
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
    return head("POST", "/jobs") +
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
    http_reply reply = reply_of(*client_);
    if (reply.status == 0 || reply.has_header("connection: close")) client_.reset();
    return reply;
  }

  // What a job became, waited for.
  nlohmann::json ended(const nlohmann::json& id) {
    for (int tries = 0; tries < 3000; ++tries) {
      auto job = ask("GET", "/jobs/" + id.dump()).json();
      if (job.value("state", "") == "ended") return job;
      ::usleep(10'000);
    }
    FAIL("the job does not end");
    return {};
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
    arguments.insert(arguments.end(), {"--port", "0"});
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

// A WebSocket of the server's events. They are read as lines: each ends with one.
class event_socket {
 public:
  explicit event_socket(const job_server& server, const std::string& more_headers = "")
      : client_(server.port) {
    client_.say(server.head("GET", "/events") +
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more_headers + "\r\n");
    reply = reply_of(client_);
  }

  http_reply reply;

  // The next event but beats; null: the connection ended.
  nlohmann::json next() {
    for (std::string line = client_.line(); !line.empty(); line = client_.line()) {
      auto event = nlohmann::json::parse(line.substr(line.find("{\"event\"")), nullptr, false);
      REQUIRE_MESSAGE(event.is_object(), line);
      if (event["event"] != "beat") return event;
    }
    return {};
  }

 private:
  line_client client_;
};

}  // namespace test
