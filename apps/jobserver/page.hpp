// What the build puts into the program: the page of GET / and its script (page/index.html, page/page.js), and
// the description of the API (openapi.json).
#pragma once

#include <string_view>

extern const std::string_view page_html;
extern const std::string_view page_script;
extern const std::string_view openapi_json;
