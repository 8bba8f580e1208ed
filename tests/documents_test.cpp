// README.md, CONTRIBUTING.md, SECURITY.md, CHANGELOG.md and docs/*.md: what they show is true. So is what the
// public headers show in the comments at their head, which compiles.
//
// A block of code names its language:
//
//     c, cpp       a part of an example, which the build compiles and the tests run; or else a piece that
//                  compiles as the body of a function behind tests/documents/fragments.h or .hpp
//     cmake        a part of a file of tests/ways_to_link, which the tests build
//     console      commands behind "$ ", and what they print: they are run, and numbers apart they print
//     that.
//                  What cat shows of a file that is not there becomes that file
//     sh           commands of ./dev, which it has
//     text         no code: a drawing, or what a program of this page prints
//
// A console or sh block that cannot be run begins with "# not run by the tests: " and the reason, or with
// "# run by ./dev ship".
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/commands.hpp"
#include "support/texts.hpp"

namespace {

namespace fs = std::filesystem;
using test::contents;
using test::from_environment;
using test::output_of;
using test::scratch_directory;

fs::path source() { return from_environment("UVREAP_SOURCE"); }

std::vector<fs::path> files_of(const fs::path& directory, const std::set<std::string>& endings) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory))
    if (endings.contains(entry.path().extension())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> documents() {
  std::vector<fs::path> all = files_of(source() / "docs", {".md"});
  for (const char* name : {"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"})
    all.push_back(source() / name);
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  return lines;
}

struct block {
  fs::path page;
  std::size_t line = 0;  // of its first line of text
  std::string language;
  std::string text;

  [[nodiscard]] std::string place() const {
    return fs::relative(page, source()).string() + ':' + std::to_string(line);
  }
  [[nodiscard]] bool is_excused() const {
    return text.starts_with("# not run by the tests: ") || text.starts_with("# run by ./dev ship");
  }
};

std::vector<block> blocks_of(const fs::path& page) {
  std::vector<block> blocks;
  bool inside = false;
  std::size_t number = 0;
  for (const std::string& line : lines_of(contents(page))) {
    ++number;
    if (line.starts_with("```")) {
      if (!inside) blocks.push_back({page, number + 1, line.substr(3), {}});
      inside = !inside;
    } else if (inside) {
      blocks.back().text += line + '\n';
    }
  }
  REQUIRE_MESSAGE(!inside, page);
  return blocks;
}

std::vector<block> blocks_in(const std::set<std::string>& languages) {
  std::vector<block> some;
  for (const fs::path& page : documents())
    for (const block& each : blocks_of(page))
      if (languages.contains(each.language)) some.push_back(each);
  return some;
}

bool is_part_of_one(const std::string& text, const std::vector<fs::path>& files) {
  for (const fs::path& file : files)
    if (('\n' + contents(file)).find('\n' + text) != std::string::npos) return true;
  return false;
}

bool is_of_an_example(const block& code) {
  return is_part_of_one(code.text, files_of(source() / "apps/examples", {".c", ".cpp"}));
}

// What the comments at the head of a public header show: lines that are further in. (What begins with a brace
// there is a list of arguments.)
std::vector<block> pieces_of_header(const fs::path& header) {
  std::string language = header.extension() == ".hpp" ? "cpp" : "c";
  std::string mark = language == "cpp" ? "//" : " *";
  std::vector<block> pieces;
  bool inside = false;
  std::size_t number = 0;
  for (const std::string& line : lines_of(contents(header))) {
    ++number;
    bool is_code = line.starts_with(mark + "     ");
    bool begins = is_code && !inside && line.size() > 7 && line[7] != ' ' && line[7] != '{';
    if (begins) pieces.push_back({header, number, language, {}});
    inside = begins || (inside && (is_code || line == mark));
    if (inside) pieces.back().text += is_code ? line.substr(7) + '\n' : "\n";
  }
  return pieces;
}

std::vector<block> pieces_in(const std::string& language) {
  std::vector<block> pieces = blocks_in({language});
  std::erase_if(pieces, is_of_an_example);
  for (const char* headers : {"lib/include", "lib/include/uvreap"})
    for (const fs::path& header : files_of(source() / headers, {language == "cpp" ? ".hpp" : ".h"}))
      for (const block& each : pieces_of_header(header)) pieces.push_back(each);
  return pieces;
}

// A function that a piece begins with; else nothing.
std::string function_in(const std::string& piece) {
  std::string first = piece.substr(0, piece.find('\n'));
  std::size_t end = piece.find("\n}\n");
  bool is_one = first.ends_with(") {") && !first.starts_with("if ") && first.find('=') == std::string::npos;
  return is_one && end != std::string::npos ? piece.substr(0, end + 3) : "";
}

// The pieces as functions of one file, whose errors are told by the lines of the page or header.
std::string as_functions(const std::string& language) {
  std::ostringstream functions;
  int number = 0;
  for (const block& piece : pieces_in(language)) {
    std::string before = function_in(piece.text);
    auto its_lines = std::count(before.begin(), before.end(), '\n');
    std::string body = piece.text.substr(before.size());
    bool awaits = body.find("co_await") != std::string::npos;
    std::string head = (awaits ? "task" : "int") + (" piece_" + std::to_string(++number) + "(void)");
    functions << "#line " << piece.line << " " << piece.page << '\n'
              << before << head << ";\n"
              << head << " {\n";
    functions << "#line " << static_cast<long>(piece.line) + its_lines << '\n' << body;
    functions << (awaits ? "}\n" : "return 0;\n}\n");
  }
  return functions.str();
}

void check_that_it_compiles(const std::string& language, const std::string& header,
                            const std::string& compiler) {
  scratch_directory scratch;
  std::string file = scratch / ("pieces." + language);
  std::ofstream(file) << "#include \"" << header << "\"\n" << as_functions(language);
  int status = -1;
  std::string said = output_of(compiler +
                                   " -fsyntax-only -Wall -Wextra -Werror -Wno-unused -Wno-unused-parameter "
                                   "-Wno-missing-field-initializers -I'" +
                                   (source() / "tests/documents").string() + "' -I'" +
                                   (source() / "lib/include").string() + "' " + file + " 2>&1",
                               &status);
  CHECK_MESSAGE(status == 0, said);
}

// ---- Commands

bool is_a_number(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// Times, sizes and pids differ from run to run, and what noticed an exit from machine to machine. Codes,
// signals and the numbers of jobs do not.
std::string shape(const std::string& text) {
  const std::set<std::string> units = {"us", "ms", "KiB", "MiB"};
  const std::set<std::string> counted = {"pid", "(user", "faults", "switches", "blocks"};
  std::string all;
  for (const std::string& line : lines_of(text)) {
    std::istringstream words(line);
    std::vector<std::string> kept;
    for (std::string word; words >> word;) {
      if (!kept.empty()) {
        std::string& before = kept.back();
        if (units.contains(word.substr(0, word.find_first_of(",;)"))) && is_a_number(before[0])) before = "N";
        if (counted.contains(before)) word.replace(0, word.find_first_not_of("0123456789+"), "N");
        if (before == "by" && kept.size() > 1 && kept[kept.size() - 2] == "noticed") word = "X)";
      }
      kept.push_back(word);
    }
    for (const std::string& word : kept) all += word + ' ';
    all += '\n';
  }
  return all;
}

struct command {
  std::string text;
  std::string shown;  // what the page says that it prints
};

std::vector<command> commands_of(const block& console) {
  std::vector<command> commands;
  for (const std::string& line : lines_of(console.text)) {
    if (line.starts_with("$ ")) {
      commands.push_back({line.substr(2), {}});
    } else {
      REQUIRE_MESSAGE(!commands.empty(), console.place());
      commands.back().shown += line + '\n';
    }
  }
  return commands;
}

// What each of them prints, run one after another by one shell.
std::vector<std::string> outputs_of(const std::vector<command>& commands, const scratch_directory& in) {
  std::string script = in / "script";
  {
    std::ofstream file(script);
    file << "cd '" << in.path() << "'\nPATH='" << from_environment("UVREAP_PROGRAMS") << "':$PATH\n";
    // The status of each is there for an "echo $?" behind it.
    for (const command& each : commands) file << each.text << "\ns=$?; printf '\\001'; (exit $s)\n";
  }
  std::string all = output_of("timeout 60 bash " + script + " 2>&1 </dev/null");
  std::vector<std::string> outputs;
  std::size_t begin = 0;
  for (std::size_t end; (end = all.find('\001', begin)) != std::string::npos; begin = end + 1)
    outputs.push_back(all.substr(begin, end - begin));
  return outputs;
}

bool is_refused(const block& console) {
  int status = 0;
  if (console.text.find("unshare -pf") != std::string::npos)
    output_of("unshare -pf --mount-proc true 2>&1", &status);
  return status != 0;
}

}  // namespace

TEST_CASE("every block says what it is, and none is only indented") {
  const std::set<std::string> languages = {"c", "cpp", "cmake", "console", "sh", "text"};
  for (const fs::path& page : documents()) {
    for (const block& each : blocks_of(page)) {
      CHECK_MESSAGE(languages.contains(each.language), each.place(), ": ", each.language);
      bool has_commands = ('\n' + each.text).find("\n$ ") != std::string::npos;
      if (each.language == "text") CHECK_MESSAGE(!has_commands, each.place());
    }
    bool inside = false;
    std::string before;
    for (const std::string& line : lines_of(contents(page))) {
      if (line.starts_with("```")) inside = !inside;
      bool is_code = !inside && before.empty() && line.starts_with("    ");
      CHECK_MESSAGE(!is_code, page, ": ", line);
      before = line;
    }
  }
}

TEST_CASE("C and C++ are parts of the examples, or compile") {
  for (const block& code : blocks_in({"c", "cpp"}))
    if (code.text.find("#include") != std::string::npos)
      CHECK_MESSAGE(is_of_an_example(code), code.place(), ": no example has this text");
  check_that_it_compiles("c", "fragments.h", from_environment("UVREAP_CC") + " -std=gnu11");
  check_that_it_compiles("cpp", "fragments.hpp", from_environment("UVREAP_CXX") + " -std=c++20");
}

TEST_CASE("CMake is what a project outside has") {
  std::vector<fs::path> files;
  for (const char* project : {"cmake_c", "cmake_cpp"})
    files.push_back(source() / "tests/ways_to_link" / project / "CMakeLists.txt");
  for (const block& code : blocks_in({"cmake"}))
    CHECK_MESSAGE(is_part_of_one(code.text, files), code.place());
}

TEST_CASE("commands print what the page says") {
  int run = 0;
  for (const block& console : blocks_in({"console"})) {
    if (console.is_excused()) continue;
    if (is_refused(console)) {
      MESSAGE("SKIP: ", console.place(), ": no PID namespace is available here");
      continue;
    }
    scratch_directory scratch;
    std::vector<command> commands = commands_of(console);
    for (const command& each : commands)
      if (each.text.starts_with("cat ")) std::ofstream(scratch / each.text.substr(4)) << each.shown;
    std::vector<std::string> outputs = outputs_of(commands, scratch);
    REQUIRE_MESSAGE(outputs.size() == commands.size(), console.place());
    for (std::size_t i = 0; i < commands.size(); ++i) {
      INFO(console.place(), ": ", commands[i].text);
      CHECK(shape(outputs[i]) == shape(commands[i].shown));
    }
    ++run;
  }
  CHECK(run > 1);
}

TEST_CASE("commands of ./dev are there") {
  std::set<std::string> names;
  for (const std::string& line : lines_of(test::output_of_success((source() / "dev").string() + " help"))) {
    std::istringstream words(line);
    std::string name;
    if (line.starts_with("  ") && line[2] != ' ' && words >> name) names.insert(name);
  }
  CHECK(names.contains("test"));
  for (const block& script : blocks_in({"sh"})) {
    if (script.is_excused()) continue;
    for (const std::string& line : lines_of(script.text)) {
      std::istringstream words(line);
      std::string first;
      std::string name;
      words >> first >> name;
      bool is_there = first == "./dev" && (name.empty() || name[0] == '#' || names.contains(name));
      CHECK_MESSAGE(is_there, script.place(), ": ", line);
    }
  }
}

TEST_CASE("every page is in the menu of the site, and every entry of the menu is a page") {
  std::set<std::string> pages = {"contributing", "security", "changelog"};
  for (const fs::path& page : files_of(source() / "docs", {".md"})) pages.insert(page.stem());
  std::set<std::string> entries;
  for (const std::string& line : lines_of(contents(source() / "docs/site/layout.xml"))) {
    std::size_t at = line.find("@ref ");
    if (at == std::string::npos) continue;
    std::string name = line.substr(at + 5, line.find('"', at) - at - 5);
    if (!name.starts_with("uvreap")) entries.insert(name);  // the others lead into the reference
  }
  CHECK(entries == pages);
}

TEST_CASE("links within the checkout lead to files") {
  for (const fs::path& page : documents()) {
    bool inside = false;
    for (const std::string& line : lines_of(contents(page))) {
      if (line.starts_with("```")) inside = !inside;
      for (std::size_t at = 0; !inside && (at = line.find("](", at)) != std::string::npos;) {
        at += 2;
        std::string target = line.substr(at, line.find(')', at) - at);
        if (target.starts_with("https://")) continue;
        CHECK_MESSAGE(fs::exists(page.parent_path() / target), page, ": ", target);
      }
    }
  }
}

TEST_CASE("the README is read in one go, and its first examples print what it says") {
  std::string readme = contents(source() / "README.md");
  CHECK(lines_of(readme).size() <= 150);
  for (const char* language : {"C", "CPP"}) {
    std::string printed = test::output_of_success(from_environment(std::string("UVREAP_FIRST_") + language));
    CHECK(printed.starts_with("pid "));
    CHECK_MESSAGE(shape(readme).find(shape(printed)) != std::string::npos, shape(printed));
  }
}
