// The lists of uvreap run: what jobs they hold, in whatever pieces they come.
#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "../apps/uvreap/job_reader.hpp"
#include "../apps/uvreap/words.hpp"

namespace {

// Each job's words, and each error's text.
std::vector<std::string> read(std::string_view list, std::size_t piece, bool by_shell = false) {
  job_reader reader("list", by_shell);
  std::vector<std::string> found;
  bool has_ended = false;
  while (!reader.is_over()) try {
      if (auto job = reader.next()) {
        found.push_back(joined(job->argv));
      } else if (!list.empty()) {
        reader.feed(list.substr(0, piece));
        list.remove_prefix(std::min(piece, list.size()));
      } else {
        REQUIRE_MESSAGE(!has_ended, "it neither ends nor has a job");
        reader.end();
        has_ended = true;
      }
    } catch (const list_error& error) {
      found.push_back(error.what());
    }
  return found;
}

using strings = std::vector<std::string>;

double cpu_seconds(std::string_view list, std::size_t piece) {
  std::clock_t began = std::clock();
  CHECK(read(list, piece).size() == 1);
  return static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
}

const std::string mark = "\xef\xbb\xbf";

}  // namespace

TEST_CASE("a list is the same in whatever pieces it comes") {
  struct list {
    std::string text;
    strings jobs;
  };
  for (const list& one : std::vector<list>{
           {"", {}},
           {"\n \n# no more\n", {}},
           {"echo one\necho 'two\\' \"th\\\"ree\" fo\\ ur # five", {"echo one", "echo two\\ th\"ree fo ur"}},
           {"echo a\r\necho b\r\n", {"echo a", "echo b"}},
           {mark + "echo one\necho two\n", {"echo one", "echo two"}},
           {mark + "[{\"argv\":[\"echo\",\"]}\"]}]", {"echo ]}"}},
           {mark + "{\"argv\":[\"a\"]}\nb", {"a", "b"}},
           {mark, {}},
           {"\xef\xbb", {"\xef\xbb"}},
           {"[ -f x ]\necho a", {"[ -f x ]", "echo a"}},
           {"[\t\"-f\" x ]", {"[ -f x ]"}},
           {"echo a\n[{\"argv\":[\"b\"]}]", {"echo a", "[{argv:[b]}]"}},
           {"[ {\"argv\":[\"a\"]} ,\n{\"argv\":[\"b\"]}\n]\n", {"a", "b"}},
           {"[\n{\"argv\":[\"a\"]}]", {"a"}},
           {"[ ]", {}},
           {"[", {"list:1:2: the array has no end"}},
           {"[ ", {"list:1:3: the array has no end"}},
           {"[7]", {"list:1:2: a job must be an object with \"argv\""}},
           {"[{\"argv\":[\"a\\\\\\\"}\"]}]", {"a\\\"}"}}}) {
    CAPTURE(one.text);
    for (std::size_t piece : {1U, 2U, 3U, 1000U}) CHECK(read(one.text, piece) == one.jobs);
  }
}

TEST_CASE("in an array a wrong value loses its own job alone, and a syntax error what is behind it") {
  for (const char* wrong :
       {R"({"argv":["b"],"timeout":1e400})", R"({"argv":["b"],"argv":["c"]})", R"({"arg":["b"]})"}) {
    auto found = read(R"([{"argv":["a"]},)" + std::string(wrong) + R"(,{"argv":["d"]}])", 1000);
    REQUIRE(found.size() == 3);
    CHECK(found[1].starts_with("list:1:17: "));
    CHECK(found[2] == "d");
  }
  auto broken = read(R"([{"argv":["a"]},{"argv" ["b"]},{"argv":["d"]}])", 1000);
  REQUIRE(broken.size() == 2);
  CHECK(broken[1].starts_with("list:1:25: syntax error"));
}

TEST_CASE("in an array what is no object loses itself alone") {
  for (const char* odd :
       {"null", "7", "-1.5e3", "true", "\"a, b] \\\" c\"", "[1, [2, \"]\"], {}]", "{\"argv\":7}"}) {
    CAPTURE(odd);
    for (std::size_t piece : {1U, 3U, 1000U}) {
      auto found = read(R"([{"argv":["a"]}, )" + std::string(odd) + R"( ,{"argv":["c"]}])", piece);
      REQUIRE(found.size() == 3);
      CHECK(found[1].starts_with("list:1:18: "));
      CHECK(found[2] == "c");
    }
  }
}

TEST_CASE("a large job costs no more in pieces than in one") {
  const std::string text(14 << 20, 'x');
  for (const std::string& list :
       {"[{\"argv\":[\"a\"],\"stdin\":\"" + text + "\"}]", "{\"argv\":[\"a\"],\"stdin\":\"" + text + "\"}"}) {
    double at_once = cpu_seconds(list, list.size());
    CHECK(cpu_seconds(list, 1 << 10) < 3 * at_once + 0.5);
  }
}

TEST_CASE("a job of more than 16 MiB is none, and nothing of it is kept") {
  const std::string text(17 << 20, 'x');
  CHECK(read(text, 1 << 20) == strings{"list:1:1: a line of more than 16 MiB"});
  CHECK(read("[{\"name\":\"" + text, 1 << 20) == strings{"list:1:2: a job of more than 16 MiB"});
}

TEST_CASE("brackets as deep as a job may be large are an error, and no crash") {
  auto found = read("{\"argv\":" + std::string(8 << 20, '['), 1 << 20);
  REQUIRE(found.size() == 1);
  CHECK(found[0].find("syntax error") != std::string::npos);
}

TEST_CASE("with --shell a line is for sh, but for JSON objects, comments and blanks") {
  CHECK(read("echo a | cat\n # no\n\n{ echo b; }\n{\"argv\":[\"c\"]}\n{ \"argv\": [\"d\"]}\n", 1000, true) ==
        strings{"/bin/sh -c echo a | cat", "/bin/sh -c { echo b; }", "c", "d"});
  CHECK(read("echo a\r\n", 1000, true) == strings{"/bin/sh -c echo a"});
  CHECK(read(std::string_view("a\0b", 3), 1000, true) == strings{"list:1:2: a NUL"});
}

TEST_CASE("what a shell would do something about is seen, and what is quoted is not") {
  for (const char* line : {"a | b", "a|b", "a > b", "a 2>&1", "a; b", "a && b", "a $HOME", "a \"$HOME\"",
                           "a $(b)", "a ${b}", "a `b`", "a \"`b`\"", "a *.c", "a b*", "A_1=b c", "a ~/b"})
    CHECK_MESSAGE(!words_of(line).shell_sign.empty(), line);
  for (const char* line : {"a '|' \">\" \\;", "a '$HOME' \\$HOME", "a $ 5$ $5", "a b # | c", "a \"*;|\"",
                           "a -x=y ~b b=c", "a b~/c", "-x=y", "./a=b"})
    CHECK_MESSAGE(words_of(line).shell_sign.empty(), line);
  CHECK(words_of("a $HOME/x").shell_sign == "$HOME");
  CHECK(shell_sign_in({"a", "|", "b"}) == "|");
  CHECK(shell_sign_in({"gzip -c {}"}) == " ");
  CHECK(shell_sign_in({"gzip", "-c", "a b"}).empty());
}

TEST_CASE("a quoted word is read as it was") {
  for (const char* word : {"", "a", "a b", "it's", "'", "$x", "a\\b", "*", "x=y", "caf\303\251"}) {
    words read = words_of("echo " + shell_word(word));
    REQUIRE(read.all.size() == 2);
    CHECK(read.all[1] == word);
    CHECK(read.shell_sign.empty());
  }
  CHECK(shell_word("a-b_c/d.e") == "a-b_c/d.e");
}
