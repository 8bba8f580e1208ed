// A command with all that it takes from its caller: arguments, environment, PATH, signal mask, descriptors.
// What remains is to make the child of it, in the same call or, if so prepared, on another thread later.
//
// Working directory, umask and ignored signals are the process's, and stay those of the moment of the making.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "make/stdio.hpp"
#include "uvreap/command.hpp"

namespace uvreap {

class prepared_command {
 public:
  [[nodiscard]] static bool is_sound(const command&) noexcept;

  // Of a command that is sound, and outlives this. May throw std::bad_alloc.
  prepared_command(const command&, moment);
  prepared_command(const prepared_command&) = delete;
  prepared_command& operator=(const prepared_command&) = delete;

  // 0 or errno. The descriptors and pipes of stdio have been taken and opened.
  [[nodiscard]] int make(pid_t* out) noexcept;

  child_stdio stdio;

 private:
  void take_environment(moment);
  [[nodiscard]] int find_program(std::string& out) const;

  const command& what_;
  std::vector<char*> argv_;
  std::string copied_;                // our environment, for later: one string after another
  std::vector<std::string> changed_;  // what the command sets
  std::vector<char*> environment_;    // empty: ours as it is
  std::string path_;                  // our PATH, where the program is looked for
  sigset_t mask_{};
};

}  // namespace uvreap
