// Memory that a parent has resident, for what makes children.
#pragma once

#include <cstddef>

namespace bench {

constexpr std::size_t gib = std::size_t{1} << 30;

double available_gib();  // what the kernel says can be had without swapping

// In small pages, as a heap that grew over weeks has them: with huge pages there is little to copy. Never
// given back. Throws std::system_error.
void grow(std::size_t by);

}  // namespace bench
