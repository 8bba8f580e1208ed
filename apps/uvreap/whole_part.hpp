// Where text that comes in pieces may be cut.
#pragma once

#include <cstddef>
#include <string_view>

// How much of it can be said by itself: its whole lines; if it holds no whole line, all but a UTF-8 character
// at its end whose rest is still to come. 0: nothing can be.
[[nodiscard]] std::size_t whole_part(std::string_view);
