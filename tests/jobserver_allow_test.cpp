// uvreap-jobserver and which commands it runs: those that fit a rule as a whole, and none else.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/job_server.hpp"

namespace {

using nlohmann::json;
using test::job_server;
using words = std::vector<std::string>;

}  // namespace

TEST_CASE("nothing runs without a list, and by a list only what it names") {
  test::clean_floor floor;
  {
    job_server server({});
    CHECK(server.run({"true"}).detail() == "true is not allowed to run");
    CHECK(server.stop() == 0);
  }
  test::scratch_file allowed("# these two\ntrue\r\n\n/bin/echo ...\n");
  job_server server({"--allow", allowed.path});
  CHECK(server.run({"true"}).status == 201);
  CHECK(server.run({"/bin/echo", "x", "-y"}).status == 201);
  CHECK(server.run({"/bin/echo"}).status == 201);
  for (const char* other :
       {"false", "/bin/true", "echo", "../bin/echo", "# these two", "#", "true ", "TRUE", "..."}) {
    CAPTURE(other);
    CHECK(server.run({other}).status == 403);
  }
  CHECK(server.run({"true", "x"}).detail() == "true is not allowed to run with these arguments");
  CHECK(server.metric("jobserver_jobs_started_total") == 3);
  CHECK(server.stop() == 0);
}

TEST_CASE("arguments are patterns, which let neither options nor other directories through") {
  test::clean_floor floor;
  test::scratch_file allowed(
      "true one\n"
      "true two *\n"
      "true three /srv/*/x\n"
      "true four [ab]? -*\n"
      "true five ** end\n"
      "true six * ...\n"
      "true seven \\*\n"
      "{\"argv\": [\"true\", \"eight words\", \"\"]}\n");
  job_server server({"--allow", allowed.path});
  const std::pair<words, bool> all[] = {
      {{"one"}, true},
      {{"One"}, false},
      {{"one", "more"}, false},
      {{}, false},
      {{"two", "x"}, true},
      {{"two", ""}, true},
      {{"two"}, false},
      {{"two", "-x"}, false},
      {{"two", "--output=/etc/passwd"}, false},
      {{"two", "a/b"}, false},
      {{"two", ".."}, false},
      {{"two", "x\ny"}, true},
      {{"three", "/srv/a/x"}, true},
      {{"three", "/srv/../x"}, false},
      {{"three", "/srv/a/b/x"}, false},
      {{"three", "/srv/a/x/../../etc"}, false},
      {{"four", "ax", "-l"}, true},
      {{"four", "cx", "-l"}, false},
      {{"four", "ax", "l"}, false},
      {{"five", "-any/../thing", "end"}, true},
      {{"five", "end"}, false},
      {{"six", "x", "-y", "/z"}, true},
      {{"six", "x"}, true},
      {{"six"}, false},
      {{"six", "-x"}, false},
      {{"seven", "*"}, true},
      {{"seven", "x"}, false},
      {{"eight words", ""}, true},
  };
  for (const auto& [arguments, may_run] : all) {
    words argv{"true"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    CAPTURE(json(argv).dump());
    CHECK(server.run(argv).status == (may_run ? 201 : 403));
  }
  CHECK(server.stop() == 0);
}

TEST_CASE("a directory and an environment may be asked for only where the list says so") {
  test::clean_floor floor;
  test::scratch_file allowed(
      "true plain\n"
      "{\"argv\": [\"true\", \"more\"], \"cwd\": [\"/usr/*\", \"/\"], \"env\": [\"LANG\", \"LC_*\"]}\n");
  job_server server({"--allow", allowed.path});
  auto status_of = [&](const char* argument, const json& more) {
    json order{{"argv", {"true", argument}}};
    order.update(more);
    return server.post(order.dump()).status;
  };
  CHECK(status_of("plain", json::object()) == 201);
  CHECK(status_of("plain", {{"cwd", "/"}}) == 403);
  CHECK(status_of("plain", {{"env", {{"LANG", "C"}}}}) == 403);
  CHECK(status_of("more", {{"cwd", "/usr/bin"}, {"env", {{"LANG", "C"}, {"LC_ALL", "C"}}}}) == 201);
  CHECK(status_of("more", {{"cwd", "/"}}) == 201);
  CHECK(status_of("more", {{"cwd", "/usr/../etc"}}) == 403);
  CHECK(status_of("more", {{"cwd", "/etc"}}) == 403);
  CHECK(status_of("more", {{"env", {{"LD_PRELOAD", "/tmp/x.so"}}}}) == 403);
  CHECK(status_of("more", {{"env", {{"LANG", "C"}, {"PATH", "/tmp"}}}}) == 403);
  CHECK(server.stop() == 0);
}
