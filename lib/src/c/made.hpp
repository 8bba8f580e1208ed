// What the C++ face delivers, as a C program gets it, and back again, for its text.
#pragma once

#include "uvreap.h"
#include "uvreap/child_exit.hpp"
#include "uvreap/statistics.hpp"

namespace uvreap::c {

// Captured bytes stay where they are.
[[nodiscard]] uvreap_exit_t made_of(const child_exit&) noexcept;
[[nodiscard]] uvreap_change_t made_of(const child_change&) noexcept;
[[nodiscard]] uvreap_usage_t made_of(const resource_usage&) noexcept;
[[nodiscard]] uvreap_stats_t made_of(const statistics&) noexcept;

// Without what was captured, which is no part of the text.
[[nodiscard]] child_exit read(const uvreap_exit_t&) noexcept;
[[nodiscard]] child_change read(const uvreap_change_t&) noexcept;
[[nodiscard]] resource_usage read(const uvreap_usage_t&) noexcept;
[[nodiscard]] statistics read(const uvreap_stats_t&) noexcept;

}  // namespace uvreap::c
