// What a test has to know of the sanitizer that it runs under.
#pragma once

namespace test {

#if defined(__SANITIZE_THREAD__)
constexpr bool under_tsan = true;
#else
constexpr bool under_tsan = false;
#endif

// A fork is about ten times as slow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool forks_are_slow = true;
#else
constexpr bool forks_are_slow = false;
#endif

// What was freed is kept for a while, up to 256 MiB: how much is resident says nothing then.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool keeps_freed_memory = true;
#else
constexpr bool keeps_freed_memory = false;
#endif

}  // namespace test
