// Files that are read in one go, on the loop: a FIFO would hold it until there is a writer, and a device may
// have no end.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>

// Empty, or why it is not to be opened. That there is none, opening it says.
inline std::string why_not_to_open(const std::string& file) {
  std::error_code ignored;
  bool is_another =
      std::filesystem::exists(file, ignored) && !std::filesystem::is_regular_file(file, ignored);
  return is_another ? file + ": is no regular file" : "";
}
