// What a C program gives, as the C++ face takes it. Each writes *out and returns 0, or UV_EINVAL, or
// UV_ENOTSUP (sized.hpp). They throw std::bad_alloc.
#pragma once

#include "uvreap.h"
#include "uvreap/command.hpp"
#include "uvreap/reaper.hpp"

namespace uvreap::c {

[[nodiscard]] int from(const uvreap_options_t*, options& out);
[[nodiscard]] int from(const uvreap_watch_options_t*, void* data, watch_options& out);
[[nodiscard]] int from(const uvreap_command_t&, command& out);

// Empty for NULL. Small enough for std::function to keep it without allocating.
[[nodiscard]] callback from(uvreap_exit_cb, void* data);

}  // namespace uvreap::c
