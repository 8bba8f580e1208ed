// What a static program would be made larger by, and init never comes to: libuv's uv_os_get_passwd brings the
// name services of the C library (130 KB), and a terminate handler that prints the exception's type brings
// the demangler (50 KB).
#include <pwd.h>

#include <cerrno>
#include <cstdlib>

extern "C" int getpwuid_r(uid_t, passwd*, char*, size_t, passwd** found) {
  *found = nullptr;
  return ENOSYS;
}

namespace __gnu_cxx {
void __verbose_terminate_handler() { std::abort(); }
}  // namespace __gnu_cxx
