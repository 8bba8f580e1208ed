// uvreap-jobserver and what is wrong: JSON, methods, lengths, paths, options. Each is a clear error.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::job_server;
using test::where;

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
  for (const auto& one : bad) {
    CAPTURE(one.first);
    auto reply = server.post(one.first);
    CHECK(reply.status == 400);
    CHECK_MESSAGE(error_of(reply).starts_with(std::string("broken JSON at ") + one.second + ": "),
                  reply.body);
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
  for (const auto& one : bad) {
    CAPTURE(one.first);
    auto reply = server.post(one.first);
    CHECK(reply.status == 400);
    CHECK(error_of(reply) == one.second);
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

TEST_CASE("path tricks lead nowhere, and never to a file") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  server.ended(server.run({"true"}).json()["id"]);
  for (const char* path :
       {"/etc/passwd", "/../etc/passwd", "/jobs/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
        "/jobs/..%2f..%2fetc/passwd", "//etc/passwd", "/page/page.js", "/backend.html", "/jobs/", "/jobs/1/",
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
  for (const char* option : {"--port", "--listen", "--allow", "--allow-any", "--token-file", "--max-jobs",
                             "--grace", "--backend"}) {
    CHECK(server.count(option) >= 1);
  }
  CHECK(server.errors.empty());
}
