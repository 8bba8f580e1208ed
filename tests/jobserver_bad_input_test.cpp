// uvreap-jobserver and what is wrong: JSON, methods, lengths, paths, options. Each is a clear error.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/commands.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::job_server;
using test::where;

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
    CHECK_MESSAGE(reply.detail().starts_with(std::string("broken JSON at ") + one.second + ": "), reply.body);
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
      {R"({"argv": ["true"], "tiemout": 1})",
       "unknown key \"tiemout\"; known are argv, timeout, stdin, cwd and env"},
      {R"([])", "the body must be a JSON object"},
      {R"({})", "argv is missing"},
      {R"({"argv": "true"})", "argv must be an array of at least one string"},
      {R"({"argv": []})", "argv must be an array of at least one string"},
      {R"({"argv": [""]})", "argv[0] must not be empty"},
      {R"({"argv": ["true", 1]})", "argv must hold strings only"},
      {R"({"argv": ["true", "a\u0000b"]})", "argv must not hold a NUL"},
      {R"({"argv": ["true"], "stdin": 1})", "stdin must be a string"},
      {R"({"argv": ["true"], "cwd": "tmp"})", "cwd must be an absolute path"},
      {R"({"argv": ["true"], "cwd": 1})", "cwd must be an absolute path"},
      {R"({"argv": ["true"], "env": []})", "env must be an object of strings"},
      {R"({"argv": ["true"], "env": {"A": 1}})", "env must be an object of strings"},
      {R"({"argv": ["true"], "env": {"A=B": "1"}})", "env has a name that is empty or holds ="},
      {R"({"argv": ["true"], "env": {"A": "\u0000"}})", "env must not hold a NUL"},
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
    CHECK(reply.detail() == one.second);
  }
  CHECK(server.metric("jobserver_jobs_started_total") == 0);
  CHECK(server.stop() == 0);
}

TEST_CASE("a command that is not there is told with its name, and so is one that is no program") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto absent = server.run({"/no/such/program"});
  CHECK(absent.status == 422);
  CHECK(absent.detail() == "cannot start /no/such/program: no such file or directory");
  CHECK(server.run({"/etc/passwd"}).detail() == "cannot start /etc/passwd: permission denied");
  test::scratch_directory scratch;
  std::string script = scratch.make("script", "echo hello\n", 0755);
  CHECK(server.run({script}).detail() ==
        "cannot start " + script + ": neither a program for this machine nor a script that begins with #!");
  CHECK(server.run({"true", std::string(200'000, 'x')}).status == 422);  // no argument may be as long
  CHECK(server.run({"true"}).status == 201);
  CHECK(server.stop() == 0);
}

TEST_CASE("a directory that a job cannot be in is told as that, at once and when it has waited") {
  test::clean_floor floor;
  job_server server({"--allow-any", "--max-jobs", "1"});
  auto why_in = [&](const std::string& program, const std::string& directory) {
    return server.post(json{{"argv", {program}}, {"cwd", directory}}.dump());
  };
  auto absent = why_in("true", "/no/such/directory");
  CHECK(absent.status == 422);
  CHECK(absent.detail() == "cannot start true: its directory /no/such/directory: no such file or directory");
  CHECK(why_in("/bin/true", "/etc/passwd").detail() ==
        "cannot start /bin/true: its directory /etc/passwd: not a directory");
  CHECK(why_in("no-such-program", "/").detail() == "cannot start no-such-program: no such file or directory");
  auto runs = server.run({"sleep", "600"});
  auto waits = why_in("true", "/no/such/directory");
  CHECK(waits.status == 202);
  server.ask("DELETE", "/v1/jobs/" + runs.id());
  CHECK(server.ended(waits)["status"] == absent.detail());
  CHECK(server.stop() == 0);
}

TEST_CASE("a wrong method is told, with those that are right") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  std::string job = "/v1/jobs/" + server.run({"true"}).id();
  const std::pair<std::string, std::string> allowed[] = {
      {"/", "GET, HEAD"},        {"/v1/jobs", "GET, HEAD, POST"}, {job, "GET, HEAD, DELETE"},
      {"/metrics", "GET, HEAD"}, {job + "/stdout", "GET, HEAD"},  {"/v1/events", "GET, HEAD"},
  };
  for (const auto& [path, methods] : allowed) {
    auto reply = server.ask("PUT", path);
    CHECK(reply.status == 405);
    CHECK(reply.field("Allow") == methods);
    CHECK(reply.field("Content-Type") == "application/problem+json");
  }
  CHECK(server.ask("DELETE", "/v1/jobs").status == 405);
  CHECK(server.ask("OPTIONS", "/v1/jobs").status == 405);
  CHECK(server.ask("POST", job).status == 405);
  CHECK(server.ask("BREW", "/v1/jobs").status == 501);
  CHECK(server.stop() == 0);
}

TEST_CASE("path tricks lead nowhere, and never to a file") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  auto started = server.run({"true"});
  server.ended(started);
  std::string job = "/v1/jobs/" + started.id();
  std::string upper = job;
  for (char& c : upper) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  for (const std::string& path :
       {std::string("/etc/passwd"), std::string("/../etc/passwd"), std::string("/v1/jobs/../../etc/passwd"),
        std::string("/%2e%2e/%2e%2e/etc/passwd"), std::string("/v1/jobs/..%2f..%2fetc/passwd"),
        std::string("//etc/passwd"), std::string("/page/page.js"), std::string("/v1/jobs/"), job + "/",
        job + "/..", "/" + job, job + "x", job + "%20", job + "/stdin", job + "/stdout/", upper,
        std::string("/v1/jobs/1"), std::string("/V1/jobs"), std::string("/jobs/../etc/passwd")}) {
    CAPTURE(path);
    CHECK(server.ask("GET", path).status == 404);
  }
  for (const char* broken :
       {"/%", "/%zz", "/v1/jobs%00/1", "/healthz%0d", "/healthz%0D%0AX:y", "/healthz?%7f"}) {
    CAPTURE(broken);
    CHECK(server.ask("GET", broken).status == 400);
  }
  CHECK(server.ask("GET", "/v1/%6aobs").status == 200);  // another spelling of the same (RFC 3986, 6.2.2.2)
  CHECK(server.ask("GET", job + "?x=../../etc/passwd").status == 200);
  CHECK(server.ask("GET", "/" + std::string(5000, 'a')).status == 414);
  CHECK(server.ask("GET", "/v1/jobs?" + std::string(5000, 'a')).status == 414);
  CHECK(server.stop() == 0);
}

TEST_CASE("a wrong page is told") {
  test::clean_floor floor;
  job_server server({"--allow-any"});
  for (const char* query : {"limit=0", "limit=1001", "limit=x", "limit=", "limit=-1", "limit=1x", "after=1",
                            "after=", "after=01a225f1-d872-4000-8fd7-426d1d5c2d3b"}) {
    CAPTURE(query);
    CHECK(server.ask("GET", std::string("/v1/jobs?") + query).status == 400);
  }
  CHECK(server.ask("GET", "/v1/jobs?limit=1000&after=ffffffff-ffff-7fff-8fff-ffffffffffff").status == 200);
  CHECK(server.stop() == 0);
}

TEST_CASE("what cannot be served is told on stderr, and begins nothing") {
  test::clean_floor floor;
  test::scratch_file empty("");
  test::scratch_file token("0123456789abcdef\n");
  test::scratch_file short_token("secret\n");
  test::scratch_file odd_token("0123456789 abcdef\n");
  test::scratch_file relative("true\nbin/true\n");
  test::scratch_file no_rule("{\"argv\": []}\n");
  test::scratch_file odd_rule("{\"argv\": [\"true\"], \"user\": \"root\"}\n");
  test::scratch_file open_token("0123456789abcdef\n");
  REQUIRE(::chmod(open_token.path.c_str(), 0644) == 0);
  job_server taken({});
  struct bad {
    std::vector<std::string> arguments;
    int status;
    std::string error;
  };
  std::string fifo = "/tmp/uvreap-fifo-" + std::to_string(::getpid());  // to open it would wait for a writer
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const bad all[] = {
      {{"--port", "65536"}, 2, "--port"},
      {{"--listen", "localhost"}, 2, "is no IPv4 or IPv6 address, and no absolute path of a Unix socket"},
      {{"--origin", "jobs.example"}, 2, "is no origin, as https://jobs.example"},
      {{"--origin", "https://jobs.example/"}, 2, "is no origin"},
      {{"--log", "xml"}, 2, "--log"},
      {{"--state", "/proc/no/such"}, 1, "/proc/no/such: No such file or directory"},
      {{"--state", "/etc/passwd"}, 1, "/etc/passwd/lock: Not a directory"},
      {{"--listen", "/no/such/directory/socket"},
       1,
       "cannot listen on /no/such/directory/socket: No such file"},
      {{"--allow", no_rule.path}, 1, ":1: argv is missing"},
      {{"--allow", odd_rule.path}, 1, ":1: unknown key \"user\"; known are argv, cwd and env"},
      {{"--token-file", open_token.path}, 1, "any user can read or change it"},
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
      {{"--allow", "/tmp"}, 1, "/tmp: is no regular file"},
      {{"--allow", relative.path}, 1, ":2: neither a name nor an absolute path: bin/true"},
      {{"--token-file", "/no/such/file"}, 1, "/no/such/file: No such file"},
      {{"--token-file", empty.path}, 1, "a token is 16 to 64"},
      {{"--token-file", "/"}, 1, "/: is no regular file"},
      {{"--token-file", "/dev/zero"}, 1, "/dev/zero: is no regular file"},
      {{"--allow", fifo}, 1, fifo + ": is no regular file"},
      {{"--token-file", ""}, 2, "its file has no name"},
      {{"--allow", ""}, 2, "its file has no name"},
      {{"--state", ""}, 2, "its file has no name"},
      {{"--token-file", short_token.path}, 1, "a token is 16 to 64"},
      {{"--token-file", odd_token.path}, 1, "a token is 16 to 64"},
      {{"--listen", "192.0.2.1", "--token-file", token.path}, 1, "cannot listen on 192.0.2.1 port 8080"},
      {{"--port", std::to_string(taken.port)},
       1,
       "cannot listen on 127.0.0.1 port " + std::to_string(taken.port) + ": Address already in use"},
  };
  for (const bad& one : all) {
    CAPTURE(one.error);
    test::demo_program server(one.arguments);
    CHECK(server.end() == one.status);
    CHECK(server.output.empty());
    CHECK_MESSAGE(server.errors.find(one.error) != std::string::npos, server.errors);
  }
  CHECK(taken.stop() == 0);
  ::unlink(fifo.c_str());
}

TEST_CASE("a stdout that cannot be written to is an error, and nothing is served") {
  test::clean_floor floor;
  for (where out : {where::closed, where::full_disk}) {
    test::demo_program server({"--port", "0"}, out);
    CHECK(server.end() == 1);
    CHECK(server.errors.find("cannot write to stdout") != std::string::npos);
  }
}

TEST_CASE("help and the version that cannot be printed are an error") {
  for (const char* option : {"--help", "--version"}) {
    for (where out : {where::closed, where::full_disk}) {
      CAPTURE(option);
      test::demo_program server({option}, out);
      CHECK(server.end() == 1);
      CHECK(server.errors.find("cannot write to stdout") != std::string::npos);
    }
  }
}

TEST_CASE("help is no error") {
  test::demo_program server({"--help"});
  CHECK(server.end() == 0);
  for (const char* option : {"--port", "--listen", "--allow", "--allow-any", "--token-file", "--max-jobs",
                             "--grace", "--backend", "--state", "--origin", "--log", "--max-queue"}) {
    CHECK(server.count(option) >= 1);
  }
  CHECK(server.errors.empty());
}

TEST_CASE("the version is told") {
  test::demo_program server({"--version"});
  CHECK(server.end() == 0);
  CHECK(server.output.starts_with("uvreap-jobserver 0."));
}
