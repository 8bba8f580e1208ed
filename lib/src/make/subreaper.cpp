#include "uvreap/process.hpp"

#include <sys/prctl.h>
#include <uv.h>

#include <cerrno>

namespace uvreap {

int become_subreaper() noexcept {
  return ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 ? 0 : uv_translate_sys_error(errno);
}

}  // namespace uvreap
