#include "places.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace test {
namespace {

// Of cgroup v2, or of the pids controller of v1.
std::string make_cgroup(int processes) {
  for (std::string root : {"/sys/fs/cgroup", "/sys/fs/cgroup/pids"}) {
    std::string path = root + "/uvreap-test-" + std::to_string(::getpid());
    if (::mkdir(path.c_str(), 0755) != 0) continue;
    std::ofstream limit(path + "/pids.max");
    if (std::filesystem::exists(path + "/cgroup.procs") && limit << processes << std::flush) return path;
    ::rmdir(path.c_str());
  }
  return {};
}

}  // namespace

words as_pid_1_in(const std::string& made_by, const words& command) {
  words start = {"unshare", "-mpf", "--propagation", "private", "--mount-proc", "--kill-child"};
  return start + words{"sh", "-c", made_by + "\nexec \"$@\"", "sh"} + command;
}

words as_ordinary_user(const words& command) {
  return words{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"} + command;
}

words as_docker_has_it(const words& command) {
  return words{std::getenv("UVREAP_REFUSE"), "io_uring_setup=EPERM", "clone3=ENOSYS", "--"} + command;
}

bool no_places() {
  supervised try_it(as_pid_1_in("umount -l /proc; mount -t tmpfs none /dev", {"true"}));
  if (try_it.end() == 0) return false;
  MESSAGE("SKIP: no namespaces to be had: ", try_it.errors());
  return true;
}

pid_limit::pid_limit(int processes) : processes_(processes), cgroup_(make_cgroup(processes)) {}

pid_limit::~pid_limit() {
  if (!cgroup_.empty()) ::rmdir(cgroup_.c_str());
}

words pid_limit::as_pid_1(const words& command) const {
  if (!cgroup_.empty()) return as_pid_1_in("echo 0 > " + cgroup_ + "/cgroup.procs", command);
  std::string limit = "--nproc=" + std::to_string(processes_);
  return as_pid_1_in("", words{"setpriv", "--reuid=64329", "--clear-groups", "prlimit", limit} + command);
}

}  // namespace test
