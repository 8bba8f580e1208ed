#include "command.hpp"

#include <unistd.h>
#include <uv.h>

#include <cerrno>
#include <string>
#include <vector>

namespace pid1 {
namespace {

int become(char** words, const settings& settings, const inherited_signals& inherited,
           const terminal& terminal, writer& errors) {
  settings.in_session ? terminal.enter_session() : terminal.enter_group();
  inherited.give_back();
  ::execvp(words[0], words);
  int error = errno;
  inherited_signals blocked;  // a stderr that is broken does not change the status
  errors.say("cannot run " + settings.command[0] + ": " + uv_strerror(-error));
  errors.finish(std::chrono::seconds(1));
  return error == ENOENT ? settings.as.not_found : settings.as.not_executable;
}

}  // namespace

// By vfork: to copy our pages costs as much as all else together. The child borrows our memory until its
// exec, and we stand still meanwhile.
running_command start_command(const settings& settings, const inherited_signals& inherited,
                              const terminal& terminal, writer& errors) {
  std::vector<char*> words;
  for (const std::string& word : settings.command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  std::uint64_t began_ns = uv_hrtime();
  pid_t child = ::vfork();
  if (child == 0) ::_exit(become(words.data(), settings, inherited, terminal, errors));
  return {.pid = child > 0 ? child : -errno, .began_ns = began_ns};
}

}  // namespace pid1
