// The version of what is the kernel itself.
#pragma once

#include <sys/utsname.h>

#include <string>

namespace bench {

inline std::string kernel_version() {
  utsname about{};
  ::uname(&about);
  return std::string("Linux ") + about.release;
}

}  // namespace bench
