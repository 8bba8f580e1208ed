// What only glibc has, and what takes its place with another C library: one and the same test of both.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "os/c_library.hpp"
#include "support/children.hpp"

namespace c_library = uvreap::c_library;

namespace {

constexpr auto nothing = [] {};

// What a child is asked: which of 3 to 9 it has open. It closes what is above 2; before() and
// after() stand around the call that says so.
std::string open_in_child(const std::function<void()>& before = nothing,
                          const std::function<void()>& after = nothing) {
  posix_spawn_file_actions_t actions;
  REQUIRE(::posix_spawn_file_actions_init(&actions) == 0);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  REQUIRE(::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0);
  before();
  int error = c_library::add_close_from(actions, 3);
  after();
  REQUIRE(error == 0);
  char shell[] = "sh";
  char option[] = "-c";
  char script[] =
      "for each in 3 4 5 6 7 8 9; do { true <&$each; } 2>/dev/null && printf $each; done; printf .";
  char* argv[] = {shell, option, script, nullptr};
  pid_t pid = 0;
  REQUIRE(::posix_spawnp(&pid, shell, &actions, nullptr, argv, environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::string text;
  char bytes[64];
  for (ssize_t length = 0; (length = ::read(ends[0], bytes, sizeof bytes)) > 0;) {
    text.append(bytes, static_cast<std::size_t>(length));
  }
  ::close(ends[0]);
  int word = 0;
  REQUIRE(::waitpid(pid, &word, 0) == pid);
  return text;
}

}  // namespace

TEST_CASE("signals have the names that the C library gives them, and the others have none") {
  CHECK(std::string(c_library::signal_abbreviation(SIGKILL)) == "KILL");
  CHECK(std::string(c_library::signal_abbreviation(SIGCHLD)) == "CHLD");
  for (int signum : {-1, 0, SIGRTMIN, SIGRTMAX, NSIG, 1000}) {
    CHECK(c_library::signal_abbreviation(signum) == nullptr);
  }
#ifdef __GLIBC__
  for (int signum = -1; signum <= NSIG + 1; ++signum) {
    const char* expected = ::sigabbrev_np(signum);
    const char* given = c_library::signal_abbreviation(signum);
    CAPTURE(signum);
    REQUIRE((expected == nullptr) == (given == nullptr));
    if (given != nullptr) CHECK(std::string(given) == expected);
  }
#endif
}

TEST_CASE("the child has no descriptor above 2, and the parent keeps its own") {
  for (int number : {5, 7, 9}) REQUIRE(::dup2(STDIN_FILENO, number) == number);
  SUBCASE("as a rule") { CHECK(open_in_child() == "."); }
  SUBCASE("where there is no descriptor to look at those that are open") {
    ::rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    for (int number = 3; number < 10; ++number) {
      if (::fcntl(number, F_GETFD) < 0) REQUIRE(::dup2(STDIN_FILENO, number) == number);
    }
    auto use_up = [&] {
      ::rlimit none_left{10, before.rlim_max};
      REQUIRE(::setrlimit(RLIMIT_NOFILE, &none_left) == 0);
      REQUIRE(::dup(STDIN_FILENO) < 0);
    };
    auto give_back = [&] { ::setrlimit(RLIMIT_NOFILE, &before); };
    CHECK(open_in_child(use_up, give_back) == ".");
  }
  for (int number : {5, 7, 9}) CHECK(::fcntl(number, F_GETFD) >= 0);
  for (int number = 3; number < 10; ++number) ::close(number);
}

TEST_CASE("exit is immediate, if the C library has a way") {
  int word = 0;
  pid_t pid = test::make_child([]() -> int {
    ::atexit([] { ::_exit(9); });  // the control: it runs where there is no way
    c_library::make_exit_immediate();
    ::exit(4);
  });
  REQUIRE(::waitpid(pid, &word, 0) == pid);
  CHECK(WEXITSTATUS(word) == (IS_PORTABLE ? 9 : 4));
}
