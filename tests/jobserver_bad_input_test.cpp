// uvreap-jobserver against clients and callers that mean ill, or nothing in particular: each gets a clear
// error, and the rest goes on.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::job_server;
using test::where;

pid_t pid_of(job_server& server) {
  auto job = server.run({"sh", "-c", "echo $PPID"}).json();
  return std::stoi(server.ended(job["id"])["stdout"]["text"].get<std::string>());
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

std::string error_of(const test::http_reply& reply) { return reply.json()["error"]; }

}  // namespace

TEST_CASE("broken JSON is told with its line and column") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  const std::pair<const char*, const char*> bad[] = {
      {"", "line 1, column 1"},
      {"{", "line 1, column 2"},
      {"{\"argv\": [\"true\"]\n,\n  x}", "line 3, column 3"},
      {"{\"argv\": [\"true\"]} 7", "line 1, column 20"},
      {"{\"argv\": [\"\xff\"]}", "line 1, column 12"},
  };
  for (const auto& [body, place] : bad) {
    CAPTURE(body);
    auto reply = server.post(body);
    CHECK(reply.status == 400);
    CHECK_MESSAGE(error_of(reply).starts_with(std::string("broken JSON at ") + place + ": "), reply.body);
  }
  std::string deep(100'000, '[');
  CHECK(server.post(deep).status == 400);
  CHECK(server.post(R"({"argv": ["true"], "timeout": 1e999})").status == 400);
  CHECK(server.stop() == 0);
}

TEST_CASE("a key that is not known is named, and a value that is none is told") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  const std::pair<const char*, const char*> bad[] = {
      {R"({"argv": ["true"], "tiemout": 1})", "unknown key \"tiemout\"; known are argv, timeout and stdin"},
      {R"([])", "the body must be a JSON object"},
      {R"({})", "argv is missing"},
      {R"({"argv": "true"})", "argv must be an array of at least one string"},
      {R"({"argv": []})", "argv must be an array of at least one string"},
      {R"({"argv": [""]})", "argv[0] must not be empty"},
      {R"({"argv": ["true", 1]})", "argv must hold strings only"},
      {R"({"argv": ["true", "a\u0000b"]})", "argv must not hold a NUL"},
      {R"({"argv": ["true"], "stdin": 1})", "stdin must be a string"},
      {R"({"argv": ["true"], "timeout": "1"})",
       "timeout must be a number of seconds above 0, at most 49 days"},
      {R"({"argv": ["true"], "timeout": 0})", "timeout must be a number of seconds above 0, at most 49 days"},
      {R"({"argv": ["true"], "timeout": -1})",
       "timeout must be a number of seconds above 0, at most 49 days"},
      {R"({"argv": ["true"], "timeout": 1e9})",
       "timeout must be a number of seconds above 0, at most 49 days"},
  };
  for (const auto& [body, error] : bad) {
    CAPTURE(body);
    auto reply = server.post(body);
    CHECK(reply.status == 400);
    CHECK(error_of(reply) == error);
  }
  CHECK(server.metric("jobserver_jobs_started_total") == 0);
  CHECK(server.stop() == 0);
}

TEST_CASE("a command that is not there is told with its name, and so is one that is no program") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto absent = server.run({"/no/such/program"});
  CHECK(absent.status == 422);
  CHECK(error_of(absent) == "cannot start /no/such/program: no such file or directory");
  CHECK(error_of(server.run({"/etc/passwd"})) == "cannot start /etc/passwd: permission denied");
  CHECK(server.run({"true", std::string(200'000, 'x')}).status == 422);  // no argument may be as long
  CHECK(server.run({"true"}).status == 201);
  CHECK(server.stop() == 0);
}

TEST_CASE("a wrong method is told, with those that are right") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  const std::pair<const char*, const char*> allowed[] = {
      {"/", "GET, HEAD"},        {"/jobs", "GET, HEAD, POST"}, {"/jobs/1", "GET, HEAD, DELETE"},
      {"/metrics", "GET, HEAD"}, {"/healthz", "GET, HEAD"},    {"/events", "GET, HEAD"},
  };
  for (const auto& [path, methods] : allowed) {
    auto reply = server.ask("PUT", path);
    CHECK(reply.status == 405);
    CHECK(reply.has_header(std::string("allow: ") + methods));
  }
  CHECK(server.ask("DELETE", "/jobs").status == 405);
  CHECK(server.ask("OPTIONS", "/jobs").status == 405);
  CHECK(server.ask("CONNECT", "/jobs").status == 501);
  CHECK(server.ask("BREW", "/jobs").status == 501);
  CHECK(server.ask("GET", "/events").status == 426);
  CHECK(server.stop() == 0);
}

TEST_CASE("a wrong length is told: none, no number, too much, or given twice") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-body", "1K"});
  auto with_length = [&](const std::string& lines) {
    return server.ask_raw(server.head("POST", "/jobs") + "Content-Type: application/json\r\n" + lines +
                          "\r\n");
  };
  CHECK(with_length("").status == 411);
  CHECK(with_length("Transfer-Encoding: chunked\r\n").status == 411);
  CHECK(with_length("Content-Length: 1025\r\n").status == 413);
  CHECK(with_length("Content-Length: 99999999999999999999999\r\n").status == 413);
  for (const char* no_number : {"-1", "+1", "1 1", "0x10", "1.5", "ten", "1,1"}) {
    CHECK(with_length(std::string("Content-Length: ") + no_number + "\r\n").status == 400);
  }
  CHECK(with_length("Content-Length: 1\r\nContent-Length: 2\r\n").status == 400);
  CHECK(with_length("Content-Length: 0\r\n").status == 400);  // no JSON
  CHECK(server.ask_raw(server.head("GET", "/healthz") + "Content-Length: 5\r\n\r\nhello").status == 413);
  CHECK(server.ask("GET", "/healthz").status == 200);
  CHECK(server.stop() == 0);
}

TEST_CASE("a body of 100 MiB is refused before it is read, and takes no memory") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  pid_t pid = pid_of(server);
  long before = resident_kib(pid);
  test::scratch_file large("");
  REQUIRE(::truncate(large.path.c_str(), 100 << 20) == 0);
  std::string command = "curl -s -w '%{http_code}' -H 'Content-Type: application/json' --data-binary @" +
                        large.path + " http://localhost:" + std::to_string(server.port) + "/jobs";
  FILE* curl = ::popen(command.c_str(), "r");
  char said[500] = {};
  (void)!std::fread(said, 1, sizeof said - 1, curl);
  CHECK(::pclose(curl) == 0);
  CHECK(std::string(said) == "{\"error\":\"the body is longer than 1048576 bytes\"}\n413");
  CHECK(resident_kib(pid) < before + 8 * 1024);
  CHECK(server.stop() == 0);
}

TEST_CASE("path tricks lead nowhere, and never to a file") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  server.ended(server.run({"true"}).json()["id"]);
  for (const char* path :
       {"/etc/passwd", "/../etc/passwd", "/jobs/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        "/jobs/..%2f..%2fetc/passwd", "//etc/passwd", "/page/page.js", "/index.html", "/jobs/", "/jobs/1/",
        "/jobs/01", "/jobs/-1", "/jobs/+1", "/jobs/1x", "/jobs/18446744073709551617", "/jobs/1%20",
        "/jobs&x=/", "/jobs/%001", "/Jobs"}) {
    CAPTURE(path);
    CHECK(server.ask("GET", path).status == 404);
  }
  // Dots, doubled slashes and escapes are no more than other spellings (RFC 3986), of nothing but these
  // places.
  for (const char* path : {"/jobs/1/../1", "//jobs//1", "/%6aobs/1", "/jobs/1?x=../../etc/passwd"}) {
    CAPTURE(path);
    auto reply = server.ask("GET", path);
    CHECK(reply.status == 200);
    CHECK(reply.json()["id"] == 1);
  }
  CHECK(server.ask("GET", "/" + std::string(2000, 'a')).status == 414);
  CHECK(server.ask("GET", "/jobs?" + std::string(2000, 'a')).status == 414);
  for (const char* broken : {"/%", "/%zz", "/jobs%00/1"}) {
    CAPTURE(broken);
    auto status = server.ask("GET", broken).status;
    CHECK_MESSAGE((status == 0 || status == 403), status);  // the library's own answers: none, or forbidden
  }
  CHECK(server.ask("GET", "/healthz").status == 200);
  CHECK(server.stop() == 0);
}

TEST_CASE("without the token nothing is told but that the server is there") {
  test::clean_floor floor;
  std::string token = "0123456789abcdef-._~+XYZ";
  test::scratch_file file(token + "\n");
  job_server server({"--allow-any", "--token-file", file.path});
  for (const char* wrong :
       {"", "0", "0123456789abcdef-._~+XY", "0123456789abcdef-._~+XYz", "0123456789abcdef-._~+XYZZ"}) {
    server.token = wrong;
    CHECK(server.run({"true"}).status == 401);
    CHECK(server.ask("GET", "/jobs").status == 401);
    CHECK(server.ask("GET", "/jobs/1").status == 401);
    CHECK(server.ask("DELETE", "/jobs/1").status == 401);
    CHECK(server.ask("GET", "/metrics").status == 401);
    CHECK(server.ask("GET", "/nowhere").status == 401);
    CHECK(test::event_socket(server).reply.status == 401);
    CHECK(server.ask("GET", "/healthz").status == 200);
  }
  server.token = "";
  std::string page_way = "Sec-WebSocket-Protocol: events, bearer.";
  CHECK(test::event_socket(server, page_way + "x\r\n").reply.status == 401);
  CHECK(test::event_socket(server, page_way + token + "\r\n").reply.status == 101);
  server.token = token;
  CHECK(test::event_socket(server).reply.status == 101);
  CHECK(server.run({"true"}).status == 201);
  CHECK(server.stop() == 0);
}

TEST_CASE("a page of somewhere else can neither run commands nor listen") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string body = R"({"argv": ["true"]})";
  auto post_with = [&](const std::string& host, const std::string& lines) {
    return server.ask_raw("POST /jobs HTTP/1.1\r\nHost: " + host + "\r\n" + lines +
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
  CHECK(test::event_socket(server, "Origin: http://elsewhere.example\r\n").reply.status == 403);
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
  CHECK(server.ended(job.json()["id"])["exit_code"] == 0);

  // Some more, and there are too many: those are told.
  while (slow.size() < 1004) slow.push_back(std::make_unique<test::line_client>(server.port));
  test::line_client one_too_many(server.port);
  CHECK(one_too_many.line().starts_with("HTTP/1.1 503"));
  slow.clear();
  CHECK(within_ten_seconds([&] { return descriptors_of(pid) == before; }));
  CHECK(server.metric("jobserver_clients_refused_total") >= 1);
  CHECK(server.stop() == 0);
}

TEST_CASE("a WebSocket that does not read loses events, is told how many, and holds no memory for them") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--keep", "0"});
  test::event_socket events(server);
  REQUIRE(events.reply.status == 101);
  std::string long_argument(180, 'x');
  double dropped = 0;
  for (int jobs = 0; jobs < 20'000 && dropped == 0; ++jobs) {
    if (server.run({"true", long_argument}).status == 503) ::usleep(1'000);
    if (jobs % 200 == 0) dropped = server.metric("jobserver_events_dropped_total");
  }
  REQUIRE(dropped > 0);
  json event = events.next();
  while (event.is_object() && event["event"] != "dropped") event = events.next();
  REQUIRE(event.is_object());
  CHECK(event["count"] >= dropped);
  CHECK(events.next().is_object());  // and it goes on
  CHECK(server.stop() == 0);
}

TEST_CASE("what cannot be served is told on stderr, and begins nothing") {
  test::clean_floor floor;
  test::scratch_file empty("");
  test::scratch_file token("0123456789abcdef\n");
  test::scratch_file short_token("secret\n");
  test::scratch_file odd_token("0123456789 abcdef\n");
  test::scratch_file relative("true\nbin/true\n");
  job_server taken({});
  struct bad {
    std::vector<std::string> arguments;
    int status;
    std::string error;
  };
  const bad all[] = {
      {{"--port", "65536"}, 2, "--port"},
      {{"--listen", "localhost"}, 2, "is no IPv4 or IPv6 address"},
      {{"--listen", "0.0.0.0"}, 2, "needs --token-file"},
      {{"--listen", "::"}, 2, "needs --token-file"},
      {{"--max-jobs", "0"}, 2, "--max-jobs"},
      {{"--max-body", "1G"}, 2, "--max-body"},
      {{"--keep", "-1"}, 2, "--keep"},
      {{"--grace", "-1"}, 2, "--grace"},
      {{"--grace", "nan"}, 2, "--grace"},
      {{"--allow-any", "--allow", empty.path}, 2, "--allow-any"},
      {{"more"}, 2, "more"},
      {{"--allow", "/no/such/file"}, 1, "/no/such/file: No such file"},
      {{"--allow", "/tmp"}, 1, "/tmp: Is a directory"},
      {{"--allow", relative.path}, 1, ":2: neither a name nor an absolute path: bin/true"},
      {{"--token-file", "/no/such/file"}, 1, "/no/such/file: No such file"},
      {{"--token-file", empty.path}, 1, "a token is 16 to 64"},
      {{"--token-file", short_token.path}, 1, "a token is 16 to 64"},
      {{"--token-file", odd_token.path}, 1, "a token is 16 to 64"},
      {{"--listen", "192.0.2.1", "--token-file", token.path}, 1, "cannot listen on 192.0.2.1 port 8080"},
      {{"--port", std::to_string(taken.port)},
       1,
       "cannot listen on 127.0.0.1 port " + std::to_string(taken.port)},
  };
  for (const bad& one : all) {
    CAPTURE(one.error);
    test::demo_program server(one.arguments);
    CHECK(server.end() == one.status);
    CHECK(server.output.empty());
    CHECK_MESSAGE(server.errors.find(one.error) != std::string::npos, server.errors);
  }
  CHECK(taken.stop() == 0);
}

TEST_CASE("a stdout that cannot be written to is an error, and nothing is served") {
  test::clean_floor floor;
  for (where out : {where::closed, where::full_disk}) {
    test::demo_program server({"--port", "0"}, out);
    CHECK(server.end() == 1);
    CHECK(server.errors.find("cannot write to stdout") != std::string::npos);
  }
}

TEST_CASE("help is no error") {
  test::demo_program server({"--help"});
  CHECK(server.end() == 0);
  for (const char* option :
       {"--port", "--listen", "--allow", "--allow-any", "--token-file", "--max-jobs", "--grace", "--index"}) {
    CHECK(server.count(option) >= 1);
  }
  CHECK(server.errors.empty());
}
