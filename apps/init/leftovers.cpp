#include "leftovers.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "../shared/descendants.hpp"

namespace pid1 {

bool leftovers::send(int signum) {
  // To a PID 1, -1 is everybody else in its namespace. Zombies count until they are reaped.
  if (::getpid() == 1) return ::kill(-1, signum) == 0 || errno != ESRCH;
  // All are found before the first gets a signal: whoever ends of it gives its own children to us.
  std::vector<descendant> left = descendants();
  for (const descendant& one : left) {
    if (signum != 0) send_to(one, signum);
  }
  return !left.empty();
}

}  // namespace pid1
