// Where the arguments of a command come from, as the command line names it.
#pragma once

#include <string>
#include <vector>

struct argument_list {
  std::vector<std::string> words;
  std::string file;  // a line each, or up to a NUL; "-": standard input; empty: the words
};
