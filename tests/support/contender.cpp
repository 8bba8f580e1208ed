#include "contender.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <vector>

#include "clean_floor.hpp"
#include "commands.hpp"

namespace test {
namespace {

using namespace std::chrono_literals;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  REQUIRE_MESSAGE(value != nullptr, name);
  return value;
}

bool is_installed(const std::string& program) {
  if (program.find('/') != std::string::npos) return true;
  std::istringstream path(from_environment("PATH"));
  for (std::string directory; std::getline(path, directory, ':');) {
    if (::access((std::filesystem::path(directory) / program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::vector<contender> contenders() {
  // The others do not change with our backend.
  if (std::getenv("UVREAP_COMPARE") == nullptr) return {uvreap_init()};
  return {uvreap_init(),
          {.name = "tini",
           .program = {"tini"},
           .to_group = words{"-g"},
           .to_child = words{},
           .as_subreaper = words{"-s"},
           .warns = words{"-w"},
           .told_as_0 = "-e",
           .parent_death_signal = "-p"},
          {.name = "dumb-init",
           .program = {"dumb-init"},
           .to_group = words{},
           .to_child = words{"-c"},
           .rewrite = "-r"},
          {.name = "catatonit",
           .program = {"catatonit"},
           .to_group = words{"-g"},
           .to_child = words{},
           .as_subreaper = words{},
           .pause = words{"-P"}}};
}

// A link to ours by that name, in a directory that is there as long as this test.
std::string in_place_of(const std::string& name) {
  static const scratch_directory links;
  std::string link = links / name;
  std::error_code is_there;
  std::filesystem::create_symlink(from_environment("UVREAP_INIT"), link, is_there);
  return link;
}

int compared = 0;

std::string page() {
  std::ifstream file(from_environment("UVREAP_INIT_PAGE"));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

constexpr const char* head = "| | uvreap init | tini | dumb-init | catatonit |\n|---|---|---|---|---|\n";

}  // namespace

words contender::as_pid_1(const words& options, const words& command) const {
  return words{"unshare", "-pf", "--mount-proc", "--kill-child"} + plainly(options, command);
}

words contender::plainly(const words& options, const words& command) const {
  return program + options + words{"--"} + command;
}

words probe(const words& what) { return words{from_environment("UVREAP_PROBE")} + what; }

contender uvreap_init() {
  return {.name = "uvreap init",
          .program = {from_environment("UVREAP_PROGRAM"), "init", "--backend",
                      from_environment("UVREAP_TEST_BACKEND")},
          .to_group = words{"-g"},
          .to_child = words{},
          .as_subreaper = words{"-s"},
          .warns = words{"-w"},
          .rewrite = "-r",
          .told_as_0 = "-e",
          .parent_death_signal = "-p",
          .pause = words{"-P"},
          .patience = 20s};
}

bool no_pid_1() {
  supervised try_it({"unshare", "-pf", "--mount-proc", "true"});
  if (try_it.end() == 0) return false;
  MESSAGE("SKIP: no PID 1 to be had: ", try_it.errors());
  return true;
}

void compare(const std::string& what, const std::set<std::string>& has,
             const std::function<bool(const contender&)>& holds) {
  ++compared;
  for (contender& one : contenders()) {
    if (!is_installed(one.program[0])) {
      MESSAGE("SKIP: ", one.name, " is not installed");
      continue;
    }
    bool is_expected = has.contains(one.name);
    one.patience = is_expected ? 20s : 250ms;
    clean_floor floor;
    // The races of others are not ours: dumb-init 1.2.5 hangs in 2 of 125 Ctrl-Z and fg, and beside a busy
    // loop twice in a row.
    // And who loses a signal in a race wins some: dumb-init once 20 of 20.
    int tries = one.name != "uvreap init" ? 5 : 1;
    bool has_it = !is_expected;
    for (; has_it != is_expected && tries > 0; --tries) has_it = holds(one);
    CHECK_MESSAGE(has_it == is_expected, one.name, ": ", what);
    // And ours in its place, by a link of that name, holds what it holds.
    if (one.name == "uvreap init" || !is_expected) continue;
    contender ours = one;
    ours.program = {in_place_of(one.name)};
    // Races of its design are ours there: as dumb-init the command, in a session of its own, may take the
    // "fg" that is typed before it is stopped.
    bool ours_has_it = false;
    for (tries = 3; !ours_has_it && tries > 0; --tries) ours_has_it = holds(ours);
    CHECK_MESSAGE(ours_has_it, "uvreap init as ", one.name, ": ", what);
  }
  std::string row = "| " + what + " |";
  for (const char* name : {"uvreap init", "tini", "dumb-init", "catatonit"})
    row += has.contains(name) ? " yes |" : " |";
  CHECK_MESSAGE(page().find(row + '\n') != std::string::npos, "not in docs/init.md: ", row);
}

int rows_of_page() {
  std::string text = page();
  auto at = text.find(head);
  REQUIRE(at != std::string::npos);
  std::istringstream lines(text.substr(at + std::string(head).size()));
  int rows = 0;
  for (std::string line; std::getline(lines, line) && line.starts_with("| ");) ++rows;
  return rows;
}

int rows_compared() { return compared; }

}  // namespace test
