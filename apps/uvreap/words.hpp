// The words of a command line, quoted as in a shell; nothing is expanded.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct broken_line : std::runtime_error {
  broken_line(std::size_t good, const std::string& what) : std::runtime_error(what), good_bytes(good) {}
  std::size_t good_bytes;  // before what is wrong
};

struct words {
  std::vector<std::string> all;
  std::string shell_sign{};  // the first thing that means something else to a shell: "|", "$HOME", "*"
};

// '...' and "..." hold blanks, \ takes the next character as it is (not between single quotes), # at the
// beginning of a word begins a comment. Throws broken_line.
[[nodiscard]] words words_of(std::string_view line);

// The same for a command line that a shell, ours or the caller's, has split already: its operators come
// through as words of their own, where they were quoted.
[[nodiscard]] std::string shell_sign_in(const std::vector<std::string>& words);

[[nodiscard]] std::string no_shell_hint(const std::string& shell_sign);

// A word that sh, and words_of(), read as it is.
[[nodiscard]] std::string shell_word(std::string_view word);
[[nodiscard]] std::string shell_line(const std::vector<std::string>& words);

[[nodiscard]] std::string joined(const std::vector<std::string>& words);  // with blanks, as they are
