// Skips a test whose forked copies call exit(), where the C library has no on_exit() that makes it end them
// at once: there the parent's exit functions run, libuv's destructor among them (os/c_library.hpp).
#pragma once

#include <doctest/doctest.h>

namespace test {

#ifdef UVREAP_TEST_PORTABLE_LIBC
inline const auto needs_immediate_exit = doctest::skip();
#else
inline const auto needs_immediate_exit = doctest::skip(false);
#endif

}  // namespace test
