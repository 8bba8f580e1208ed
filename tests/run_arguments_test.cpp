// uvreap run: a command for each of its arguments, and where these and lists come from.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "support/clean_floor.hpp"
#include "support/run_program.hpp"
#include "support/sanitizers.hpp"

namespace {

using nlohmann::json;
using test::list_of;
using test::run_program;
using test::where;

// A list has 7 to 12 MiB.
constexpr long of_pieces_kib = test::keeps_freed_memory ? 1 << 20 : 3 << 10;

void check_prints(const std::vector<std::string>& arguments, const std::string& output) {
  std::vector<std::string> all{"-q", "-j1"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  run_program run(all);
  CHECK(run.end() == 0);
  CHECK(run.output == output);
  CHECK(run.errors == "");
}

// By sh, where $U is the program in this mode.
class in_shell : public run_program {
 public:
  explicit in_shell(const std::string& text)
      : run_program(
            {"-q", "--", "sh", "-c", "U='" + std::string(std::getenv("UVREAP_DEMO")) + " run'; " + text}) {}
};

}  // namespace

TEST_CASE("a command runs once for each argument, and for all combinations of several lists") {
  test::clean_floor floor;
  check_prints({"--", "echo", "{}", "{.}.png", ":::", "a.jpg", "d e/b.gif"},
               "a.jpg a.png\nd e/b.gif d e/b.png\n");
  check_prints({"--", "echo", "x", ":::", "1", "2", ":::", "a", "b"}, "x 1 a\nx 1 b\nx 2 a\nx 2 b\n");
  check_prints({"--", "echo", "{2}{1}{#}", ":::", "1", "2", ":::", "a", "b"}, "a11\nb12\na23\nb24\n");
  check_prints({"--", "printf", "%s|", "{}", ":::", "$HOME", "*", "a;b", "'", ""},
               "$HOME|\n*|\na;b|\n'|\n|\n");
  check_prints({"--", "echo", ":::"}, "");
  check_prints({"--", "echo", ":::", "a", ":::"}, "");
}

TEST_CASE("arguments come from files, a line each or up to a NUL, and from standard input") {
  test::clean_floor floor;
  auto lines = list_of(
      "\xef\xbb\xbf"
      "a b\n\n# c\nlast");
  check_prints({"-a", lines, "--", "printf", "[%s]"}, "[a b]\n[]\n[# c]\n[last]\n");
  check_prints({"--", "echo", "{1}{2}", "::::", lines, ":::", "x", "y"},
               "a bx\na by\nx\ny\n# cx\n# cy\nlastx\nlasty\n");
  check_prints({"-a", lines, "--", "echo", "{2}{1}", ":::", "x"}, "xa b\nx\nx# c\nxlast\n");
  auto nuls = list_of(std::string("a\nb\0\0c", 6));
  check_prints({"-0", "-a", nuls, "--", "printf", "[%s]"}, "[a\nb]\n[]\n[c]\n");
  for (const char* asked : {"-a -", "-j1", "-a - -j1"}) {
    in_shell run("printf 'a\\nb\\n' | $U -q -j1 " + std::string(asked) + " -- echo");
    CHECK(run.end() == 0);
    CHECK(run.output == "a\nb\n");
  }
  in_shell nul("printf 'a b\\0c\\0' | $U -q -j1 -0 -- printf '[%s]'");
  CHECK(nul.end() == 0);
  CHECK(nul.output == "[a b]\n[c]\n");
}

TEST_CASE("arguments may be typed, and how to end them is said") {
  test::clean_floor floor;
  if (test::no_terminals()) return;
  run_program run({"-j0", "--", "echo", "got"}, where::whole_terminal);
  REQUIRE(run.read_until("reads from the terminal; Ctrl-D ends the list"));
  for (char key : {'x', '\n'}) run.press(key);
  REQUIRE(run.read_until("got x"));
  run.press('\004');
  CHECK(run.end() == 0);
}

TEST_CASE("an argument that is none is named by line and column, and the others are taken") {
  test::clean_floor floor;
  auto list = list_of(std::string("a\nb\0c\nd\n", 8));
  run_program run({"-q", "-j1", "--halt", "never", "-a", list, "--", "echo"});
  CHECK(run.end() == 255);
  CHECK(run.output == "a\nd\n");
  CHECK(run.errors == "uvreap run: " + list + ":2:2: a NUL; -0 reads arguments that end in one\n");
}

TEST_CASE("a million arguments are never held, nor is a list of them") {
  test::clean_floor floor;
  in_shell few("seq 10 | exec $U -q --dry-run -a - -- echo {} {#}");
  CHECK(few.end() == 0);
  for (const char* text : {"-a - -- echo {} {#}", "-"}) {
    in_shell many("seq 1000000 | sed 's/^/echo /' | exec $U -q --dry-run " + std::string(text) +
                  " | tail -n 1");
    CHECK(many.end() == 0);
    CHECK(many.count("1000000") >= 1);
    CHECK(many.most_resident_kib() < few.most_resident_kib() + of_pieces_kib);
  }
}

TEST_CASE("several lists run one after another, and are counted through") {
  test::clean_floor floor;
  auto first = list_of("echo a\necho b"), second = list_of(R"([{"argv":["echo","c"]}])"),
       third = list_of("echo d\n");
  run_program run({"--json", "-j1", first, second, third});
  CHECK(run.end() == 0);
  auto outputs = run.events("output");
  REQUIRE(outputs.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(outputs[i]["job"] == i + 1);
    CHECK(outputs[i]["text"] == std::string(1, static_cast<char>('a' + i)) + '\n');
  }
  run_program missing({"-j1", first, "/nothing", third});
  CHECK(missing.end() == 255);
  CHECK(missing.output == "");  // it is said before anything runs
  run_program broken({"-q", "-j1", "--halt", "never", list_of("[{\"argv\":[\"echo\",\"a\"]}, x"), third});
  CHECK(broken.end() == 255);
  CHECK(broken.output == "a\nd\n");
  CHECK(broken.errors.find(":1:25: syntax error") != std::string::npos);
}

TEST_CASE("standard input may be a pipe, a FIFO whose writer has gone, a file in its middle, and nothing") {
  test::clean_floor floor;
  auto list = list_of("echo a\necho b\n");
  std::string fifo = test::directory() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  struct input {
    std::string text;
    std::string output;
  };
  for (const input& one : std::vector<input>{
           {"cat " + list + " | $U -q -j1 -", "a\nb\n"},
           {"$U -q -j1 - < " + list, "a\nb\n"},
           {"{ read -r line; exec $U -q -j1 -; } < " + list, "b\n"},
           {"cat " + list + " > " + fifo + " & exec 3<" + fifo + "; wait; $U -q -j1 - <&3", "a\nb\n"},
           {"cat " + list + " > " + fifo + " & $U -q -j1 " + fifo, "a\nb\n"},
           {"$U -q -j1 - < /dev/null", ""}}) {
    CAPTURE(one.text);
    in_shell run(one.text);
    CHECK(run.end() == 0);
    CHECK(run.output == one.output);
  }
}

TEST_CASE("a standard input that is closed is no empty list") {
  test::clean_floor floor;
  for (const char* reads : {"-", "-a - -- echo", "--dry-run -"}) {
    in_shell run("$U -q " + std::string(reads) + " <&-");
    CHECK(run.end() == 255);
    CHECK(run.errors == "uvreap run: cannot read standard input: bad file descriptor\n");
  }
}

TEST_CASE("no shell is run, and that is said once where a line looks as if it were for one") {
  test::clean_floor floor;
  auto list = list_of("echo a\necho b | tr b c\necho $HOME\n");
  run_program run({"-j1", list});
  CHECK(run.end() == 0);
  CHECK(run.output == "a\nb | tr b c\n$HOME\n");
  auto hint = "uvreap run: " + list +
              ":2: no shell is run, and '|' is text as any other; with --shell sh reads the line\n";
  CHECK(run.errors.find(hint) != std::string::npos);
  CHECK(run.errors.find("no shell is run") == run.errors.rfind("no shell is run"));
  check_prints({list}, "a\nb | tr b c\n$HOME\n");  // -q: no hint

  run_program command({"--", "echo {} | cat", ":::", "a"});
  CHECK(command.end() == 1);
  CHECK(command.errors.find("no shell is run") != std::string::npos);
  run_program braces({"--", "echo", "{}"});
  CHECK(braces.end() == 0);
  CHECK(braces.output == "{}\n");
  CHECK(braces.errors.find("no arguments were given") != std::string::npos);
}

TEST_CASE("with --shell sh reads lines and commands, and arguments stay what they are") {
  test::clean_floor floor;
  auto list = list_of("echo b | tr b c\n# no\nx=3; echo $x\n{\"argv\":[\"echo\",\"$x\"]}\n");
  check_prints({"--shell", list}, "c\n3\n$x\n");
  check_prints({"--shell", "--", "echo {} | tr a b; echo $((1+1))", ":::", "a", "it's $HOME"},
               "b\n2\nit's $HOME\n2\n");
  run_program one({"-q", "--shell", "--", "echo", "a", "|", "tr", "a", "b", ";", "exit", "5"});
  CHECK(one.end() == 5);
  CHECK(one.output == "b\n");
}

TEST_CASE("--dry-run prints what would run, as sh would read it, and runs nothing") {
  test::clean_floor floor;
  std::string never = test::directory() / "never";
  auto list = list_of("touch " + never +
                      "\n{\"argv\":[\"echo\",\"it's\"],\"cwd\":\"/a b\",\"env\":{\"X\":\"1 2\"}}\n");
  run_program run({"--dry-run", list});
  CHECK(run.end() == 0);
  CHECK(run.output == "touch " + never + "\nenv -C '/a b' 'X=1 2' echo 'it'\\''s'\n");
  CHECK(::access(never.c_str(), F_OK) != 0);
  check_prints({"--dry-run", "--shell", "--", "echo {} > x", ":::", "a b"},
               "/bin/sh -c 'echo '\\''a b'\\'' > x'\n");
  run_program one({"--dry-run", "--", "touch", never});
  CHECK(one.end() == 0);
  CHECK(one.output == "touch " + never + "\n");

  // As JSON it is a list again.
  json job{{"name", "n"},       {"argv", {"a", "b"}},
           {"cwd", "/"},        {"env", {{"X", "1"}}},
           {"stdin", "text\n"}, {"timeout", 1.5},
           {"retries", 2},      {"rlimits", {{"core", "unlimited"}, {"cpu", 3}}}};
  run_program again({"--dry-run", "--json", list_of(job.dump() + '\n')});
  CHECK(again.end() == 0);
  CHECK(json::parse(again.output) == job);

  run_program bytes({"--dry-run", "--json", list_of("echo '\377'\ntrue\n")});
  CHECK(bytes.end() == 255);
  CHECK(bytes.output == "{\"name\":\"true\",\"argv\":[\"true\"]}\n");
  CHECK(bytes.errors == "uvreap run: job 1 is no UTF-8, which JSON must be: echo \\xff\n");

  run_program broken({"--dry-run", list_of("echo a\necho 'b\necho c\n")});
  CHECK(broken.end() == 255);
  CHECK(broken.output == "echo a\necho c\n");
  CHECK(broken.errors.find(":2:6: this ' is not closed") != std::string::npos);
  run_program full({"--dry-run", list}, where::full_disk);
  CHECK(full.end() == 255);
  CHECK(full.errors.find("cannot write: no space left on device") != std::string::npos);
}

TEST_CASE("--version") {
  test::clean_floor floor;
  run_program run({"--version"});
  CHECK(run.end() == 0);
  CHECK(run.output.starts_with("uvreap "));
  CHECK(run.output.find('.') != std::string::npos);
}
