// Which commands may run, and with which arguments: a rule a line. The whole command has to fit one of them.
//
//     # a comment
//     date +%s
//     /usr/bin/make -C /srv/* ...
//     {"argv": ["git", "commit", "-m", "**"], "cwd": ["/srv/*"], "env": ["LANG", "GIT_*"]}
//
// The program is spelled just so, as a name that is looked for in PATH or as an absolute path. Every other
// word is a pattern for one argument:
//
//     *  ?  [a-z]   as in a shell; ? fits one character of UTF-8. None of them fits a "/", and none a "." at
//                   the beginning of a name. A pattern that begins with one fits no argument that begins
//                   with "-": that could be an option.
//     **            any argument
//     ...           as the last word: any further arguments, or none
//
// A line that is a JSON object may have patterns for the directory and for names of the environment, which
// a request cannot set otherwise. A rule that no request can fit is an error.
#pragma once

#include <string>
#include <vector>

#include "job_request.hpp"

class allow_list {
 public:
  allow_list() = default;  // nothing may run
  [[nodiscard]] static allow_list any();

  // Empty, or why the file cannot be used; then nothing changed.
  [[nodiscard]] std::string read(const std::string& file);

  // Empty: it may run.
  [[nodiscard]] std::string why_not(const job_request&) const;

 private:
  struct rule {
    std::vector<std::string> argv;
    std::vector<std::string> directories;
    std::vector<std::string> names;

    // Empty, or why no request can fit it.
    [[nodiscard]] std::string why_never() const;
  };
  static std::string read_rule(const std::string& line, rule& into);

  bool allows_any_ = false;
  std::vector<rule> rules_;
};
