// A gate the other way round: the child says that it has come so far, and the parent waits for it.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace test {

class message {
 public:
  message() { REQUIRE(::pipe2(ends_, O_CLOEXEC) == 0); }
  ~message() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  message(const message&) = delete;
  message& operator=(const message&) = delete;
  void say() const { (void)!::write(ends_[1], "x", 1); }
  void wait() const {
    char byte = 0;
    while (::read(ends_[0], &byte, 1) < 0 && errno == EINTR) {
    }
  }

 private:
  int ends_[2]{};
};

}  // namespace test
