// What a request's target names (RFC 9112, 3.2): a path, its query, and a host if it is in the absolute form.
//
//     auto target = target::read("http://localhost/v1/jobs?after=x");
//     target->path == "/v1/jobs"; *target->value("after") == "x"; target->authority == "localhost"
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct target {
  std::string path;  // decoded
  std::optional<std::string> authority{};
  std::vector<std::pair<std::string, std::string>> query{};  // decoded

  [[nodiscard]] const std::string* value(std::string_view name) const;  // null: it is not there

  // Empty: a "%" that is no escape, or a control character, escaped or not. Dots, doubled slashes and escaped
  // slashes are resolved by nobody here: such a path names nothing.
  [[nodiscard]] static std::optional<target> read(std::string_view sent);
};
