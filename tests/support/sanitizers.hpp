// What a test has to know of the sanitizer that it runs under, or of valgrind.
#pragma once

#include <cstdlib>
#include <string_view>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace test {

#if defined(__SANITIZE_THREAD__)
constexpr bool under_tsan = true;
#else
constexpr bool under_tsan = false;
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

// What was freed is kept for a while, up to 256 MiB: how much is resident says nothing then.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool keeps_freed_memory = true;
#else
constexpr bool keeps_freed_memory = false;
#endif

// What this thread allocates while one lives may stay for good.
#if defined(__SANITIZE_ADDRESS__)
using may_leak = __lsan::ScopedDisabler;
#else
struct may_leak {};
#endif

// By what valgrind preloads. It lets a vfork be a fork, so that posix_spawn cannot tell why exec failed,
// and 3.19 (Debian 12) does not know pidfd_open.
inline bool under_valgrind() {
  const char* preloaded = std::getenv("LD_PRELOAD");
  return preloaded != nullptr && std::string_view(preloaded).find("vgpreload") != std::string_view::npos;
}

// How many times the usual limits a test may take: valgrind needs some 10 ms for a fork and the end of its
// child, and an emulated machine (./dev kernels) says by this variable how slow it is.
inline int patience() {
  if (under_valgrind()) return 10;
  const char* asked = std::getenv("UVREAP_TEST_PATIENCE");
  return asked == nullptr ? 1 : std::atoi(asked);
}

// Ten times as slow as usual, or more.
inline bool forks_are_slow() { return sanitized || under_valgrind(); }

}  // namespace test
