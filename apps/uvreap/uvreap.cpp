// uvreap: one program, a verb for each thing that it does.
#include <cstdio>
#include <string_view>

#include "init.hpp"
#include "run.hpp"

namespace {

constexpr const char* usage =
    "usage: uvreap run [OPTIONS] -- CMD ARG...      one command, and what it cost\n"
    "       uvreap run [OPTIONS] [-j N] FILE        many at once\n"
    "       uvreap init [OPTIONS] [--] CMD ARG...   PID 1 of a container\n"
    "       uvreap VERB --help                      all the options of a verb\n";

}  // namespace

int main(int argc, char** argv) {
  std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "run") return run(argc - 1, argv + 1);
  if (verb == "init") return init(argc - 1, argv + 1);
  if (verb == "--help" || verb == "-h") return std::fputs(usage, stdout) < 0 ? 255 : 0;
  std::fputs(usage, stderr);
  return 255;
}
