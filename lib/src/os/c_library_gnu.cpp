#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/c_library.hpp"

namespace uvreap::c_library {

void make_exit_immediate() noexcept {
  ::on_exit([](int status, void*) { ::_exit(status); }, nullptr);
}

const char* signal_abbreviation(int signum) noexcept { return ::sigabbrev_np(signum); }

int add_close_from(posix_spawn_file_actions_t& actions, int lowest) noexcept {
  return ::posix_spawn_file_actions_addclosefrom_np(&actions, lowest);
}

}  // namespace uvreap::c_library
