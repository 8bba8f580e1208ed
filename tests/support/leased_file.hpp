// A file that keeps whoever opens it, or execs it, waiting until the test lets go of its lease. The kernel
// breaks a lease after 45 s, so no child of a test that crashed waits for ever.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "timing.hpp"

namespace test {

class leased_file {
 public:
  leased_file() = default;  // of none
  // Read-only: who has it open for writing keeps it from being executed (ETXTBSY).
  explicit leased_file(const std::string& path) : leased_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    REQUIRE(::fcntl(leased_, F_SETSIG, SIGWINCH) == 0);  // instead of SIGIO, which ends a process
    // EAGAIN: a child that another thread is making has a copy still, until its exec.
    stopwatch waited;
    while (::fcntl(leased_, F_SETLEASE, F_WRLCK) != 0 && waited.elapsed() < std::chrono::seconds(20))
      ::usleep(200);
    REQUIRE(::fcntl(leased_, F_GETLEASE) == F_WRLCK);
  }
  ~leased_file() { let_go(); }
  leased_file(leased_file&& other) noexcept : leased_(std::exchange(other.leased_, -1)) {}
  leased_file& operator=(leased_file&& other) noexcept {
    std::swap(leased_, other.leased_);
    return *this;
  }

  void wait_until_it_is_opened() const {
    // The type of a lease is the one to which it is to be broken from when another process has come to its
    // open().
    auto is_opened = [this] { return ::fcntl(leased_, F_GETLEASE) != F_WRLCK; };
    stopwatch waited;
    while (!is_opened() && waited.elapsed() < std::chrono::seconds(20)) ::usleep(200);
    REQUIRE(is_opened());
  }
  void let_go() {
    if (leased_ < 0) return;
    ::fcntl(leased_, F_SETLEASE, F_UNLCK);  // closing is not enough: a child has the file, too
    ::close(std::exchange(leased_, -1));
  }

 private:
  int leased_ = -1;
};

}  // namespace test
