// The page of GET / and its script: page/index.html and page/page.js, put into the program by the build.
#pragma once

#include <string_view>

extern const std::string_view page_html;
extern const std::string_view page_script;
