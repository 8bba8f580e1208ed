// doctest's main, with an alarm: a test that hangs is a test that failed. However a test ends, it leaves no
// child behind.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "children.hpp"
#include "sanitizers.hpp"

namespace {

pid_t leader;

// Not all children end by themselves when a test does: one that is stopped keeps even its SIGTERM for later.
// doctest has said by now what happened.
void end_with_all_children(int signum) {
  if (::getpid() == leader) ::kill(0, SIGKILL);
  ::signal(signum, SIG_DFL);
  ::raise(signum);
}

void hang(int) {
  constexpr char text[] = "\nFAILED: the test hangs\n";
  (void)!::write(2, text, sizeof text - 1);
  ::kill(0, SIGKILL);
}

}  // namespace

int main(int argc, char** argv) {
  // Every child of a test dies with its group; under a runner that reads our output we lead one of our own
  // anyway.
  ::setpgid(0, 0);
  leader = ::getpid();
  for (int signum : {SIGHUP, SIGINT, SIGTERM, SIGABRT}) ::signal(signum, end_with_all_children);
  ::signal(SIGALRM, hang);
  ::alarm(300 * static_cast<unsigned>(test::patience()));
  int result = doctest::Context(argc, argv).run();
  return test::clean_up_children() == 0 ? result : 1;
}
