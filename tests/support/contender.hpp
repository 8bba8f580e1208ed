// The programs that do what uvreap init does, under one table of cases: which of them holds what.
//
//     TEST_CASE("the exit status is the child's") {
//       test::compare("exits with its child's status", {"uvreap init", "tini"}, [](const test::contender&
//       one) {
//         return test::supervised(one.as_pid_1({}, {"sh", "-c", "exit 42"})).end() == 42;
//       });
//     }
//
// The table of docs/init.md has a row for each, and says the same.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "supervised.hpp"

namespace test {

struct contender {
  std::string name;
  words program;

  // Its words for an option; empty optional: it has none of that kind.
  std::optional<words> to_group{};
  std::optional<words> to_child{};
  std::optional<words> as_subreaper{};
  std::optional<words> warns{};
  std::optional<std::string> rewrite{};
  std::optional<std::string> told_as_0{};
  std::optional<std::string> parent_death_signal{};
  std::optional<words> pause{};
  std::chrono::milliseconds patience{};  // until "no" is believed: long where "yes" is expected

  [[nodiscard]] words as_pid_1(const words& options, const words& command) const;
  [[nodiscard]] words plainly(const words& options, const words& command) const;  // no PID 1
};

words probe(const words&);  // support/init_probe.cpp
bool no_pid_1();            // this machine gives none; says so
contender uvreap_init();    // with this run's backend

// Asserts, for each program that is installed, whether the case holds, and that docs/init.md says so; and
// that ours holds it under that program's name where that program does.
void compare(const std::string& what, const std::set<std::string>& has,
             const std::function<bool(const contender&)>& holds);

int rows_of_page();   // of its table
int rows_compared();  // until now

}  // namespace test
