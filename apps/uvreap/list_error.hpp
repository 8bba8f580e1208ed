// What is wrong with a list of jobs or arguments, and where: "jobs:3:14: unknown key \"arg\"".
#pragma once

#include <stdexcept>
#include <string>

#include "../shared/visible_text.hpp"
#include "unread_text.hpp"

class list_error : public std::runtime_error {
 public:
  explicit list_error(const std::string& what) : std::runtime_error(visible_text(what)) {}
  list_error(const std::string& list, const text_position& at, const std::string& what)
      : list_error(list + ':' + std::to_string(at.line) + ':' + std::to_string(at.column) + ": " + what) {}
};
