// The secret that requests must bear, if one was asked for.
#pragma once

#include <string>
#include <string_view>

class token {
 public:
  token() = default;  // none is needed

  // Empty, or why the file cannot be used; then nothing changed. One that any user of the machine can read
  // keeps no secret.
  [[nodiscard]] std::string read(const std::string& file);

  [[nodiscard]] bool is_needed() const { return !secret_.empty(); }

  // Takes as long for a wrong guess as for a nearly right one.
  [[nodiscard]] bool is(std::string_view guess) const;

 private:
  std::string secret_;
};
