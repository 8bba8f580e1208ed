// uvreap-jobserver and which commands it runs: those that fit a rule as a whole, and none else.
#include <doctest/doctest.h>
#include <signal.h>

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
  test::scratch_file allowed("\xef\xbb\xbf# these two\ntrue\r\n\n/bin/echo ...\n");
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
      "true eight [ [a\n"
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
      {{"eight", "[", "[a"}, true},
      {{"eight", "[", "a"}, false},
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

TEST_CASE("patterns are about characters, not about their bytes, in any locale") {
  test::clean_floor floor;
  test::scratch_file allowed(
      "true one ?\n"
      "true two ??x\n"
      "true three [éü]*\n"
      "true four [!a]\n"
      "true five é\n"
      "{\"argv\": [\"true\", \"six\"], \"cwd\": [\"/?\"], \"env\": [\"?\"]}\n");
  job_server server({"--allow", allowed.path});
  const std::pair<words, bool> all[] = {
      {{"one", "e"}, true},        {{"one", "é"}, true},    {{"one", "\U0001f600"}, true},
      {{"one", "e\u0301"}, false},  // two characters, though one is drawn
      {{"one", "ée"}, false},      {{"two", "éüx"}, true},  {{"two", "éx"}, false},
      {{"three", "übel"}, true},   {{"three", "ä"}, false}, {{"four", "é"}, true},
      {{"five", "é"}, true},       {{"five", "è"}, false},  {{"one", "\u00e9\u00e9"}, false},
  };
  for (const auto& [arguments, may_run] : all) {
    words argv{"true"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    CAPTURE(json(argv).dump());
    CHECK(server.run(argv).status == (may_run ? 201 : 403));
  }
  // It is not there, but it may be asked for.
  CHECK(server.post(R"({"argv": ["true", "six"], "cwd": "/é"})").status == 422);
  CHECK(server.post(R"({"argv": ["true", "six"], "cwd": "/éé"})").status == 403);
  CHECK(server.post(R"({"argv": ["true", "six"], "env": {"é": ""}})").status == 201);
  CHECK(server.stop() == 0);
}

TEST_CASE("a rule that no request could fit is an error, with its line") {
  test::clean_floor floor;
  const std::pair<std::string, std::string> all[] = {
      {"bin/true", "neither a name nor an absolute path: bin/true"},
      {"./true", "neither a name nor an absolute path: ./true"},
      {"..", "neither a name nor an absolute path: .."},
      {R"({"argv": [""]})", "neither a name nor an absolute path: "},
      {"/usr//bin/true", "a path with an empty part, . or ..: /usr//bin/true"},
      {"//bin/true", "a path with an empty part, . or ..: //bin/true"},
      {"/usr/./bin/true", "a path with an empty part, . or ..: /usr/./bin/true"},
      {"/usr/bin/../bin/true", "a path with an empty part, . or ..: /usr/bin/../bin/true"},
      {"/bin/", "a path with an empty part, . or ..: /bin/"},
      {"/", "a path with an empty part, . or ..: /"},
      {R"({"argv": ["true"], "cwd": ["/", "srv/*"]})", "cwd is neither ** nor an absolute path: srv/*"},
      {R"({"argv": ["true"], "cwd": ["*"]})", "cwd is neither ** nor an absolute path: *"},
      {R"({"argv": ["true"], "cwd": [""]})", "cwd is neither ** nor an absolute path: "},
      {R"({"argv": ["true"], "cwd": ["/srv//x"]})", "cwd has an empty part, . or ..: /srv//x"},
      {R"({"argv": ["true"], "cwd": ["/srv/"]})", "cwd has an empty part, . or ..: /srv/"},
      {R"({"argv": ["true"], "cwd": ["/srv/../x"]})", "cwd has an empty part, . or ..: /srv/../x"},
      {R"({"argv": ["true"], "env": ["LANG=C"]})", "env holds no name of a variable: LANG=C"},
      {R"({"argv": ["true"], "env": [""]})", "env holds no name of a variable: "},
      {R"({"argv": ["true", "a\u0000b"]})", "no request can hold this: a\\x00b"},
      {R"({"argv": ["tr\u0000ue"]})", "no request can hold this: tr\\x00ue"},
      {R"({"argv": ["true"], "cwd": ["/a\u0000"]})", "no request can hold this: /a\\x00"},
      {"true caf\xe9", "no request can hold this: caf\\xe9"},
      {"tr\xffue", "no request can hold this: tr\\xffue"},
      {"true a\\", "a \\ at the end of a pattern: a\\"},
      {"true \\\\\\", "a \\ at the end of a pattern: \\\\\\"},
  };
  for (const auto& [line, wrong] : all) {
    CAPTURE(line);
    test::scratch_file allowed("# the next is wrong\n" + line + "\n");
    test::demo_program server({"--port", "0", "--allow", allowed.path});
    server.read_until("\n");
    server.send(SIGTERM);  // one that was not refused
    CHECK(server.end() == 1);
    CHECK_MESSAGE(server.errors.find(allowed.path + ":2: " + wrong + "\n") != std::string::npos,
                  server.errors);
  }
  test::scratch_file odd(
      "true \\\\ ...x .. // * \n/bin/true\n{\"argv\": [\"true\"], \"cwd\": [\"/\", \"**\", \"/.x/*\"]}\n");
  job_server server({"--allow", odd.path});
  CHECK(server.run({"true", "\\", "...x", "..", "//", "y"}).status == 201);
  CHECK(server.post(R"({"argv": ["true"], "cwd": "/usr/bin"})").status == 201);
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
