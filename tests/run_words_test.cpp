// The words of uvreap run's command line: replacement strings, how many at once, times.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

#include "../apps/shared/visible_text.hpp"
#include "../apps/uvreap/command_template.hpp"
#include "../apps/uvreap/job.hpp"
#include "../apps/uvreap/measures.hpp"
#include "../apps/uvreap/places.hpp"

using namespace std::chrono_literals;
using words = std::vector<std::string>;

TEST_CASE("parts of an argument are what GNU parallel makes of them") {
  struct parts {
    std::string whole, no_extension, name, directory, name_no_extension;
  };
  // What parallel 20221122 prints for {} {.} {/} {//} {/.}.
  for (const parts& one : std::vector<parts>{{"a.jpg", "a", "a.jpg", ".", "a"},
                                             {"dir/a.jpg", "dir/a", "a.jpg", "dir", "a"},
                                             {"a.b/c", "a.b/c", "c", "a.b", "c"},
                                             {".bashrc", "", ".bashrc", ".", ""},
                                             {"d/.bashrc", "d/", ".bashrc", "d", ""},
                                             {"/a", "/a", "a", "/", "a"},
                                             {"a/b/", "a/b/", "", "a", ""},
                                             {"/", "/", "", "/", ""},
                                             {"a.", "a", "a.", ".", "a"},
                                             {"d.x/", "d.x/", "", ".", ""},
                                             {"x.tar.gz", "x.tar", "x.tar.gz", ".", "x.tar"},
                                             {"", "", "", ".", ""},
                                             {"//a", "//a", "a", "/", "a"},
                                             {"a//b", "a//b", "b", "a", "b"},
                                             {"./a", "./a", "a", ".", "a"}}) {
    CAPTURE(one.whole);
    command_template command({"{}", "{.}", "{/}", "{//}", "{/.}"}, 1);
    CHECK(command.words({one.whole}, 1) ==
          words{one.whole, one.no_extension, one.name, one.directory, one.name_no_extension});
  }
}

TEST_CASE("replacement strings stand anywhere, and other braces stay as they are") {
  auto made = [](const words& command, const words& arguments) {
    return command_template(command, arguments.size()).words(arguments, 7);
  };
  CHECK(made({"convert", "{}", "{.}.png"}, {"a b.jpg"}) == words{"convert", "a b.jpg", "a b.png"});
  CHECK(made({"echo"}, {"a", "b"}) == words{"echo", "a", "b"});
  CHECK(made({"echo", "{}"}, {"a b", "c"}) == words{"echo", "a b", "c"});
  CHECK(made({"echo", "x{}y{#}"}, {"a b", "c"}) == words{"echo", "xa b cy7"});
  CHECK(made({"echo", "{2}-{1}", "{2/.}"}, {"a", "b/c.d"}) == words{"echo", "b/c.d-a", "c"});
  CHECK(made({"echo", "", "{"}, {"a"}) == words{"echo", "", "{", "a"});
  for (const char* other :
       {"{x}", "{1", "{0}", "{2}", "{-1}", "{99999999999999999999}", "{ }", "{..}", "{a,b}", "}{"})
    CHECK(made({"echo", other}, {"a"}) == words{"echo", other, "a"});
  CHECK(made({"{{}}", "{{.}}"}, {"a.b"}) == words{"{a.b}", "{a}"});
  CHECK(made({"{}", "{1}"}, {"{1}"}) == words{"{1}", "{1}"});  // what was put in is not looked at again
}

TEST_CASE("for a shell the arguments are quoted, and the command is not") {
  command_template command({"echo {} > {/.}.txt"}, 1);
  CHECK(command.shell_text({"d/it's.x"}, 1) == R"(echo 'd/it'\''s.x' > 'it'\''s'.txt)");
  CHECK(command_template({"echo", "$HOME"}, 2).shell_text({"a;b", "c"}, 1) == "echo $HOME 'a;b' c");
}

TEST_CASE("how many run at once") {
  CHECK(places_from("4", 8) == 4);
  CHECK(places_from("+2", 8) == 10);
  CHECK(places_from("+0", 8) == 8);
  CHECK(places_from("50%", 8) == 4);
  CHECK(places_from("150%", 8) == 12);
  CHECK(places_from("1%", 8) == 1);
  CHECK(places_from("0", 8) == most_places);
  CHECK(places_from("100000%", 8) == 8000);
  for (const char* wrong :
       {"", "+", "%", "0%", "-1", "+-1", "1.5", "4x", " 4", "100001", "99999999999", "+50%"})
    CHECK_MESSAGE(!places_from(wrong, 8), wrong);
}

TEST_CASE("times") {
  CHECK(time_from("1.5") == 1500ms);
  CHECK(time_from("90s") == 90'000ms);
  CHECK(time_from("5m") == 300'000ms);
  CHECK(time_from("2h") == 2h);
  CHECK(time_from("1d") == 24h);
  CHECK(time_from(".25") == 250ms);
  CHECK(time_from("0") == 0ms);
  CHECK(time_from("0.0001") == 1ms);  // rounded up, or it would be none
  for (const char* wrong :
       {"", "s", "x", "-1", "nan", "inf", "1e400", "1e10", "1e9d", "5min", "1 s", "+1", "0x10"})
    CHECK_MESSAGE(!time_from(wrong), wrong);
}

TEST_CASE("text of others becomes visible, and good UTF-8 stays") {
  CHECK(visible_text("a b~") == "a b~");
  CHECK(visible_text("a\n\r\t\033\177") == R"(a\n\r\t\x1b\x7f)");
  CHECK(visible_text("\302\237|\302\240") == "\\xc2\\x9f|\302\240");
  CHECK(visible_text("caf\303\251 \342\202\254 \360\237\230\200") ==
        "caf\303\251 \342\202\254 \360\237\230\200");
  // Cut off, alone, overlong, a surrogate, above U+10FFFF.
  for (const char* broken :
       {"\303", "\251", "\342\202", "\300\200", "\340\200\200", "\355\240\200", "\364\220\200\200"}) {
    std::string shown = visible_text(broken);
    CHECK_MESSAGE(shown.find("\\x") == 0, shown);
  }
  CHECK(first_bytes("caf\303\251", 4) == "caf");
  CHECK(first_bytes("caf\303\251", 5) == "caf\303\251");
  CHECK(first_bytes("\251\251\251\251\251\251", 5) == "\251\251");
}

TEST_CASE("a job without a name is called by its command, cut between characters") {
  CHECK(name_of({"sleep", "1"}) == "sleep 1");
  std::string long_word;
  for (int i = 0; i < 40; ++i) long_word += "\303\251";
  CHECK(name_of({long_word}) == long_word.substr(0, 56) + "...");
}
