// As whom init was called: by a name of its own, or by that of a program in whose place it stands. Under
// every name all options are understood; a name says what holds without them, and how errors are told.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pid1 {

enum class dialect { own, tini, dumb_init, catatonit };

struct personality {
  std::string name;
  dialect speaks = dialect::own;
  std::string version;

  // Exit statuses.
  int bad_usage = 2;
  int own_error = 255;
  int not_executable = 126;
  int not_found = 127;

  [[nodiscard]] static personality of(std::string_view program);  // argv[0]
};

// A name that means init and nothing else, with a directory before it or not.
[[nodiscard]] bool is_name_of_init(std::string_view program);

}  // namespace pid1
