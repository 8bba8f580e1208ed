#include "descriptor_reserve.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace pid1 {

descriptor_reserve::descriptor_reserve() {
  for (int& one : held_) {
    one = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (one < 0) error_ = errno;
  }
}

descriptor_reserve::~descriptor_reserve() {
  for (int one : held_) {
    if (one >= 0) ::close(one);
  }
}

void descriptor_reserve::give_up() {
  for (int& one : held_) {
    ::close(one);
    one = -1;
  }
  ::close(STDIN_FILENO);
  ::close(STDOUT_FILENO);
}

}  // namespace pid1
