// Places where a process 1 has to work: without /proc, without /dev, read-only, as an ordinary user, where
// the kernel refuses calls, and where the pid limit is used up.
//
//     if (test::no_places()) return;
//     test::supervised run(test::as_pid_1_in("umount -l /proc", one.plainly({}, {"sh", "-c", "exit 3"})));
#pragma once

#include <memory>
#include <string>

#include "supervised.hpp"

namespace test {

// The command, in its own pid and mount namespaces, after the shell has made them so.
words as_pid_1_in(const std::string& made_by, const words& command);
words as_ordinary_user(const words& command);
words as_docker_has_it(const words& command);  // io_uring and clone3 refused, as by its seccomp profile

bool no_places();  // this machine gives none; says so

// So many processes, the first of the namespace included, by a cgroup where that can be made, else by
// RLIMIT_NPROC of a user whom nobody else has.
class pid_limit {
 public:
  explicit pid_limit(int processes);
  ~pid_limit();
  pid_limit(const pid_limit&) = delete;
  pid_limit& operator=(const pid_limit&) = delete;

  [[nodiscard]] words as_pid_1(const words& command) const;

 private:
  int processes_;
  std::string cgroup_;  // empty: there is none
};

}  // namespace test
