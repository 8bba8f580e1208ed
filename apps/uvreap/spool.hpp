// Text that is kept until it can be said: a little in memory, and what is more in a file without a name, in
// TMPDIR or /tmp, of which nothing is left behind on any way out.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

class spool {
 public:
  spool() = default;
  ~spool();
  spool(const spool&) = delete;
  spool& operator=(const spool&) = delete;

  // The text is kept, whatever is returned. UV_E*: only in memory, for lack of a file or of space in it; so
  // no more should come before this was taken.
  [[nodiscard]] int append(std::string_view);

  // What was not taken yet, as much as there is up to a buffer's length; empty: nothing. UV_E* in *error, and
  // then what is in the file is lost.
  using buffer = std::array<char, 65'536>;
  [[nodiscard]] std::string_view peek(buffer&, int* error);
  void take(std::size_t length) { taken_ += static_cast<off_t>(length); }

 private:
  [[nodiscard]] int write_memory();

  int file_ = -1;
  off_t in_file_ = 0;  // bytes; the text goes on in memory
  off_t taken_ = 0;    // of all
  std::string memory_;
};
