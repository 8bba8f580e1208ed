// What a static program would be made larger by, and init never comes to. Of libuv: uv_os_get_passwd brings
// the name services of the C library (130 KB), uv_cpu_info and, by way of pathconf and the list of mounts,
// uv_fs_readlink its scanf with all kinds of floating point (90 KB). A terminate handler that prints the
// exception's type brings the demangler (50 KB).
#include <pwd.h>

#include <cerrno>
#include <cstdlib>

extern "C" {

int getpwuid_r(uid_t, passwd*, char*, size_t, passwd** found) {
  *found = nullptr;
  return ENOSYS;
}

long pathconf(const char*, int) { return -1; }

// Not by <cstdio>, which gives them other names for a program in C++.
int fscanf(void*, const char*, ...) { return -1; }
int sscanf(const char*, const char*, ...) { return -1; }

}  // extern "C"

namespace __gnu_cxx {
void __verbose_terminate_handler() { std::abort(); }
}  // namespace __gnu_cxx
