// doctest's main, with an alarm: a test that hangs is a test that failed, and leaves no child behind.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "children.hpp"
#include "sanitizers.hpp"

int main(int argc, char** argv) {
  // Every child of a test dies with its group; under a runner that reads our output we lead one of our own
  // anyway.
  ::setpgid(0, 0);
  ::signal(SIGALRM, [](int) {
    constexpr char text[] = "\nFAILED: the test hangs\n";
    (void)!::write(2, text, sizeof text - 1);
    ::kill(0, SIGKILL);
  });
  ::alarm(300 * static_cast<unsigned>(test::patience()));
  int result = doctest::Context(argc, argv).run();
  return test::clean_up_children() == 0 ? result : 1;
}
