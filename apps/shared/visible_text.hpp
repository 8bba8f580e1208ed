// Text that others wrote, as it is shown to people: it stays on its line, and commands no terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// How many bytes the UTF-8 character at the beginning has; 0: there is none, or it is broken.
[[nodiscard]] std::size_t character_length(std::string_view);

// Control characters and bytes that are no UTF-8 become \n, \t, \x1b and the like; all else stays.
[[nodiscard]] std::string visible_text(std::string_view);

// The first so many bytes at most, and no broken character at the end.
[[nodiscard]] std::string_view first_bytes(std::string_view, std::size_t most);
