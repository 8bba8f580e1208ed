// What is left when the child has ended: as PID 1 every process of the pid namespace, as a subreaper every
// descendant; else what we were given by the program that became us.
#pragma once

namespace pid1 {

class leftovers {
 public:
  // signum 0 only asks. False: there is none.
  [[nodiscard]] static bool send(int signum);
};

}  // namespace pid1
