#include "descriptor_limit.hpp"

#include "../shared/program_file.hpp"

namespace descriptor_limit {
namespace {

rlimit of_the_process() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit;
}

const rlimit& first() {
  static const rlimit limit = of_the_process();
  return limit;
}

rlim_t allowed = 0;

}  // namespace

std::string allow(rlim_t needed) {
  if (needed > first().rlim_max) {
    return "--max-clients and --max-jobs need " + std::to_string(needed) + " descriptors, the limit is " +
           std::to_string(first().rlim_max);
  }
  allowed = needed;
  return {};
}

bool can_raise() {
  std::string ignored;
  return allowed > first().rlim_cur && find_program({.argv = {"prlimit"}}, &ignored) == 0;
}

void raise() {
  rlimit limit = of_the_process();
  limit.rlim_cur = allowed;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool is_near(int descriptor) {
  rlim_t limit = first().rlim_cur;
  return static_cast<rlim_t>(descriptor) >= limit - limit / 8;
}

// The program is looked for as spawn() does it: in our own PATH. By prlimit it would be in the job's.
int give_back(uvreap::command& what) {
  std::string file;
  if (int error = find_program({.argv = what.argv, .cwd = what.cwd}, &file); error != 0) return error;
  what.argv.front() = file;
  std::string soft = "--nofile=" + std::to_string(first().rlim_cur) + ":";
  what.argv.insert(what.argv.begin(), {"prlimit", soft, "--"});
  return 0;
}

}  // namespace descriptor_limit
