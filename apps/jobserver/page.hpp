// What the build puts into the program: the files of the page (page/), and the description of the API
// (openapi.json).
#pragma once

#include <span>
#include <string_view>

struct page_file {
  std::string_view path;  // where it is had
  const char* type;
  std::string_view text;
};

extern const std::span<const page_file> page_files;
extern const std::string_view openapi_json;
