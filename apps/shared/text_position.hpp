// Where in a text we are, as its readers count: lines and columns from 1, columns in bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

struct text_position {
  std::size_t line = 1;
  std::size_t column = 1;

  void pass(std::string_view text) {
    for (char c : text) {
      ++column;
      if (c != '\n') continue;
      ++line;
      column = 1;
    }
  }
};
