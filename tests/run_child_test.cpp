// uvreap run: which program a job is, what it reads and what it may use; and why it could not be made.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"

namespace {

using nlohmann::json;
using test::list_of;
using test::run_program;

std::string script(const std::string& name, const std::string& text) {
  std::string path = test::directory().make(name, text);
  REQUIRE(::chmod(path.c_str(), 0755) == 0);
  return path;
}

std::string jobs(const std::vector<json>& all) {
  std::string text;
  for (const json& one : all) text += one.dump() + '\n';
  return list_of(text);
}

void check_says(const run_program& run, const std::string& what) {
  CHECK_MESSAGE(run.errors.find(what) != std::string::npos, what, " is not in ", run.errors);
}

}  // namespace

TEST_CASE("a script without #! is run by sh, with its arguments") {
  test::clean_floor floor;
  auto path = script("plain", "echo \"$#:$1\"; exit 3\n");
  run_program one({"-q", "--", path, "a b", "c"});
  CHECK(one.end() == 3);
  CHECK(one.output == "2:a b\n");
  auto directory = test::directory().path();
  for (const std::string& list :
       {list_of(path + " 'a b' c\n"),
        jobs({{{"argv", {"plain", "a b", "c"}}, {"env", {{"PATH", directory}}}}}),
        jobs({{{"argv", {"./plain", "a b", "c"}}, {"cwd", directory}}}),
        jobs({{{"argv", {"plain", "a b", "c"}}, {"cwd", directory}, {"env", {{"PATH", "/nowhere:"}}}}})}) {
    run_program listed({"-q", list});
    CHECK(listed.end() == 1);
    CHECK(listed.output == "2:a b\n");
  }
}

TEST_CASE("a job has the descriptors that we were given, and none of ours") {
  test::clean_floor floor;
  std::string list = list_of("sh -c 'cat <&8'\nsh -c 'ls /proc/self/fd | wc -l'\n");
  // 0 to 2, 8, and the one that ls reads.
  for (const char* what : {"-k -j1 ", "-j1 --output lines "}) {
    run_program all(test::by_shell("exec 8<<end\ngiven\nend\nexec $U -q " + (what + list)));
    CHECK(all.end() == 0);
    CHECK(all.output == "given\n5\n");
  }
  run_program one(
      test::by_shell("exec 8<<end\ngiven\nend\nexec $U -q -- sh -c 'cat <&8; ls /proc/self/fd | wc -l'"));
  CHECK(one.end() == 0);
  CHECK(one.output == "given\n5\n");
}

TEST_CASE("a program for no machine is told as that, and not given to sh") {
  test::clean_floor floor;
  auto path = script("foreign", std::string("\177NO\0F", 5));
  run_program run({"--", path});
  CHECK(run.end() == 126);
  check_says(run, "cannot be run: it is no script, and no program for this machine\n");
}

TEST_CASE("a job's program is looked for in the job's own PATH, past what is no program") {
  test::clean_floor floor;
  std::filesystem::path root = test::directory().path();
  std::filesystem::create_directories(root / "first" / "tool-of-ours");  // a directory of that name
  std::filesystem::create_directories(root / "second");
  std::ofstream(root / "second" / "tool-of-ours") << "not executable\n";
  std::filesystem::create_directories(root / "third");
  script("third/tool-of-ours", "#!/bin/sh\necho found\n");
  auto path = [&root](const std::string& names) { return json{{"PATH", names}, {"ROOT", root}}; };
  std::string all =
      (root / "first").string() + ':' + (root / "second").string() + ':' + (root / "third").string();
  run_program run({"-j1", "--halt", "never",
                   jobs({{{"argv", {"tool-of-ours"}}, {"env", path(all)}},
                         {{"argv", {"tool-of-ours"}}, {"cwd", root}, {"env", path("first:third")}},
                         {{"argv", {"tool-of-ours"}}, {"env", path((root / "second").string())}},
                         {{"argv", {"sh", "-c", "echo no"}}, {"env", path("")}},
                         {{"argv", {"tool-of-ours"}}}})});
  CHECK(run.end() == 3);
  CHECK(run.output == "found\nfound\n");
  check_says(run, "#3 tool-of-ours cannot be run: permission denied\n");
  check_says(run, "#4 sh -c echo no cannot be run: no such file or directory\n");
  check_says(run, "#5 tool-of-ours cannot be run: no such file or directory\n");
}

TEST_CASE("of program, directory and interpreter the one is named that is not there") {
  test::clean_floor floor;
  auto file = test::directory().make("a file", "");
  auto lost = script("lost", "#!/no/such/interpreter -x\n");
  run_program run({"-j1", "--halt", "never",
                   jobs({{{"argv", {"true"}}, {"cwd", "/no/such/place"}},
                         {{"argv", {"true"}}, {"cwd", file}},
                         {{"argv", {lost}}},
                         {{"argv", {"no-such-program"}}, {"cwd", "/"}}})});
  CHECK(run.end() == 4);
  check_says(run, "#1 true cannot be run: its directory /no/such/place: no such file or directory\n");
  check_says(run, "#2 true cannot be run: its directory " + file + ": not a directory\n");
  check_says(run, " cannot be run: its interpreter /no/such/interpreter: no such file or directory\n");
  check_says(run, "#4 no-such-program cannot be run: no such file or directory\n");
}

TEST_CASE("a job reads what its stdin says, once for each try, and else nothing") {
  test::clean_floor floor;
  std::string large(1 << 20, 'x');
  run_program run({"-q", "-j1", "--retries", "1",
                   jobs({{{"argv", {"cat"}}, {"stdin", "a\nb\n"}},
                         {{"argv", {"sh", "-c", "cat; exit 1"}}, {"stdin", "again\n"}},
                         {{"argv", {"wc", "-c"}}, {"stdin", large}},
                         {{"argv", {"wc", "-c"}}, {"stdin", std::string("a\0b", 3)}},
                         {{"argv", {"wc", "-c"}}, {"stdin", ""}},
                         {{"argv", {"cat"}}}}),
                   "--halt", "never"});
  CHECK(run.end() == 1);
  CHECK(run.count("a\nb\n") == 1);
  CHECK(run.count("again\n") == 2);
  CHECK(run.count("1048576\n") == 1);
  CHECK(run.count("3\n") == 1);
  CHECK(run.count("0\n") == 1);
}

TEST_CASE("a job has the limits that it names") {
  test::clean_floor floor;
  auto path = script("limited", "ulimit -Sn; ulimit -Hn; ulimit -c\n");
  run_program run({"-q", "-j1", "--halt", "never",
                   jobs({{{"argv", {path}}, {"rlimits", {{"nofile", 33}, {"core", 0}}}},
                         {{"argv", {"sh", "-c", "while :; do :; done"}}, {"rlimits", {{"cpu", 1}}}},
                         {{"argv", {"true"}}, {"rlimits", {{"stack", "unlimited"}}}},
                         {{"argv", {"no-such-program"}}, {"rlimits", {{"cpu", 1}}}}}),
                   "--json"});
  CHECK(run.end() == 2);
  CHECK(run.events("output")[0]["text"] == "33\n33\n0\n");
  auto ends = run.events("end");
  REQUIRE(ends.size() == 4);
  CHECK(ends[1]["signal"].is_string());  // SIGXCPU, or SIGKILL: both limits are the same
  CHECK(ends[2]["failed"] == false);
  CHECK(ends[3]["error"] == "cannot be run: no such file or directory");
  CHECK(run.events("start")[0]["argv"] == json{path});
}

TEST_CASE("with few descriptors all jobs run, or it is said that none can") {
  test::clean_floor floor;
  std::string list;
  for (int i = 1; i <= 40; ++i) list += "echo job " + std::to_string(i) + " ran\n";
  auto file = list_of(list);
  std::string uvreap = std::getenv("UVREAP_DEMO");
  for (const char* mode : {"group", "lines", "none"}) {
    bool ran_before = false;
    for (int limit = 12; limit <= 24; ++limit) {
      CAPTURE(mode);
      CAPTURE(limit);
      run_program run({"-q", "--", "sh", "-c",
                       "ulimit -n " + std::to_string(limit) + "; exec " + uvreap +
                           " run -q --halt never -j4 --output " + mode + ' ' + file});
      bool has_run = run.end() == 0;
      if (std::string(mode) != "none") CHECK(run.count(" ran\n") == (has_run ? 40 : 0));
      CHECK((has_run || run.errors.find("too many open files") != std::string::npos));
      CHECK(run.errors.find("#") == std::string::npos);  // no job is said to have failed
      CHECK(has_run >= ran_before);
      ran_before = has_run;
    }
    CHECK(ran_before);
  }

  // As many at once as there is room for leave none for the next list but the descriptor of the last one.
  std::string slow;
  for (int i = 1; i <= 20; ++i) slow += "sh -c 'sleep 0.05; echo ran'\n";
  auto lists = list_of(slow);
  for (int limit : {30, 31, 32, 33}) {
    CAPTURE(limit);
    run_program three({"-q", "--", "sh", "-c",
                       "ulimit -n " + std::to_string(limit) + "; cat " + lists + " | " + uvreap +
                           " run -q --halt never -j0 - " + lists + ' ' + lists});
    CHECK(three.end() == 0);
    CHECK(three.errors == "");
    CHECK(three.count("ran\n") == 60);
  }
}
