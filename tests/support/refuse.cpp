// refuse CALL=ERRNO... -- PROGRAM ARGS: runs a program under a kernel that refuses these system calls, by a
// seccomp filter, as a container's profile or an old kernel would. pidfd_send_signal is refused with flags
// only, which is what a kernel before 6.9 says to a signal for a group. Exit status 77, which is "skipped",
// where seccomp itself is refused.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

const std::map<std::string, unsigned> calls{
    {"clone3", SYS_clone3},   {"io_uring_setup", SYS_io_uring_setup},
    {"madvise", SYS_madvise}, {"pidfd_open", SYS_pidfd_open},
    {"prctl", SYS_prctl},     {"pidfd_send_signal", SYS_pidfd_send_signal},
};
const std::map<std::string, unsigned> errors{
    {"ENOSYS", ENOSYS}, {"EPERM", EPERM}, {"EACCES", EACCES}, {"EINVAL", EINVAL}};

sock_filter statement(unsigned code, unsigned value) {
  return {static_cast<unsigned short>(code), 0, 0, value};
}

void refuse(std::vector<sock_filter>& filter, unsigned call, unsigned error) {
  bool flags_only = call == SYS_pidfd_send_signal;
  filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, static_cast<unsigned char>(flags_only ? 4 : 1), call});
  if (flags_only) {
    filter.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[3])));
    filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0});
    filter.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  filter.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<sock_filter> filter{
      statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  int next = 1;
  for (; next < argc && std::strcmp(argv[next], "--") != 0; ++next) {
    std::string word = argv[next];
    auto equals = word.find('=');
    auto call = calls.find(word.substr(0, equals));
    auto error = equals == std::string::npos ? errors.end() : errors.find(word.substr(equals + 1));
    if (call == calls.end() || error == errors.end()) {
      std::fprintf(stderr, "refuse: what is %s?\n", word.c_str());
      return 2;
    }
    refuse(filter, call->second, error->second);
  }
  if (next + 1 >= argc) return std::fputs("usage: refuse CALL=ERRNO... -- PROGRAM ARGS\n", stderr), 2;
  filter.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));

  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    std::printf("SKIP: no seccomp filter here: %s\n", std::strerror(errno));
    return 77;
  }
  ::execvp(argv[next + 1], argv + next + 1);
  std::perror(argv[next + 1]);
  return 2;
}
