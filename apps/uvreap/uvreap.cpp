// uvreap: one program, a verb for each thing that it does.
#include <cstdio>
#include <string_view>

#include "../init/init.hpp"
#include "run.hpp"

namespace {

constexpr const char* usage =
    "usage: uvreap run [OPTIONS] -- CMD ARG...      one command, and what it cost\n"
    "       uvreap run [OPTIONS] [-j N] FILE        many at once\n"
    "       uvreap init [OPTIONS] [--] CMD ARG...   PID 1 of a container\n"
    "       uvreap VERB --help                      all the options of a verb\n"
    "       uvreap --version\n";

constexpr int bad_usage = 2;

int print(const char* text) { return std::fputs(text, stdout) < 0 || std::fflush(stdout) != 0 ? 255 : 0; }

}  // namespace

int main(int argc, char** argv) {
  if (argc > 0 && pid1::is_name_of_init(argv[0])) return init(argc, argv);
  std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "run") return run(argc - 1, argv + 1);
  if (verb == "init") return init(argc - 1, argv + 1);
  if (verb == "--help" || verb == "-h") return print(usage);
  if (verb == "--version" || verb == "-V") return print("uvreap " UVREAP_VERSION "\n");
  std::fputs(usage, stderr);
  return bad_usage;
}
